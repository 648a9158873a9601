"""Options that have no effect together, and those that change what a plan was measured for."""

from typing import TYPE_CHECKING, Any

from mmcache.cli.terminal import note

if TYPE_CHECKING:
    from mmcache.plans.plan import Plan


def check_effect(plan: "Plan | None", interval: int | None, branch: Any, steps: int) -> None:
    """Refuse or say what a person would not expect of --plan, --interval and --branch together.

    Args:
        plan: of --plan.
        interval, branch: of the options; None where they were left out.
        steps: of the run.

    Raises:
        ValueError: an option has no effect, or the interval is none.
    """
    if interval is not None:
        from mmcache.plans.policy import Uniform

        Uniform(interval)
    if interval == 1 and branch is not None:
        raise ValueError("--interval 1 runs every step in full, so --branch has no effect: leave one out")
    if interval == 1 and plan is not None:
        raise ValueError("--interval 1 runs every step in full, so --plan has no effect: leave one out")
    if interval is not None and interval > steps:
        raise ValueError(
            f"--interval {interval}: the run has {steps} steps, so only its first would be full: give at "
            f"most {steps}"
        )
    if plan is not None and plan.calibrated_for is not None and (interval, branch) != (None, None):
        note(
            "--plan was calibrated; with --interval or --branch it is another plan, which nobody has measured"
        )
