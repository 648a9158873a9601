"""Which steps a plan will run in full, before anything is run: said by its policy."""

from mmcache.clocks.clock import StepClock
from mmcache.markup import USUAL_SHARE, Bar, block, strip, summary, table, text
from mmcache.plans.branch import NOTHING, branch_name, branch_words
from mmcache.plans.plan import Plan, concise

USUAL_STEPS = 50


class Since:
    """What a policy may ask here: how long ago the last full step was. Nothing has run or changed."""

    steps = 0

    def change(self) -> float:
        """Nobody knows beforehand."""
        raise NotImplementedError("only a run shows how much the denoiser changes")


def planned(plan: Plan, total: int) -> list[Bar]:
    """A bar for each step of a run.

    Raises:
        ValueError: the plan does not fit so many steps, or decides during the run.
    """
    if plan.policy.needs_change:
        raise ValueError("This plan decides during the run which steps are full, by how much has changed.")
    plan.check_total(total)
    since, bars = Since(), []
    for step in range(total):
        since.steps += 1
        full = plan.policy.is_full(StepClock(run=0, step=step, total=total, time=0.0), since)
        since.steps = 0 if full else since.steps
        bars.append(bar(None if full else plan.branch_at(step)))
    return bars


def full_steps(plan: Plan, total: int) -> set[int]:
    """Which steps of a run a plan makes full.

    Raises:
        ValueError: as `planned`.
    """
    return {step for step, one in enumerate(planned(plan, total)) if one.branch is None}


def bar(branch: int | None, share: float | None = None) -> Bar:
    """A step by the number of its branch; its share of the work may not be known."""
    if branch is None:
        return Bar(None, 1.0)
    return Bar(branch_name(branch), share or (0.0 if branch == NOTHING else USUAL_SHARE))


def plan_html(plan: Plan) -> str:
    """A plan as a notebook shows it: which steps are full in a run of usual length, and what it rests on."""
    try:
        bars = planned(plan, plan.steps or USUAL_STEPS)
        steps = f"{strip(bars)}<p>{text(summary(bars))}</p>"
    except ValueError as reason:
        steps = f"<p>{text(reason)}</p>"
    rows = [
        ("policy", concise(plan.policy)),
        ("forecast", concise(plan.forecast)),
        ("branch", branch_words(plan.branch).removeprefix("branch ")),
        *([("evidence", plan.evidence)] if plan.evidence else []),
    ]
    return block(steps, table(rows))
