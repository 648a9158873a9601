"""Which steps a plan will run in full, before anything is run: said by its policy."""

from mmcache.clocks.clock import StepClock
from mmcache.plans.plan import Plan
from mmcache_demos.app.markup import text
from mmcache_demos.app.strip import Bar, bar, strip


class Since:
    """What a policy may ask here: how long ago the last full step was. Nothing has run or changed."""

    steps = 0

    def change(self) -> float:
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


def plan_preview(plan: Plan | None, total: int) -> str:
    """The strip of a plan, with a sentence; only the sentence where there can be no strip."""
    if plan is None:
        return sentence("The plan that the model's adapter recommends; which one, the report says.")
    try:
        bars = planned(plan, total)
    except ValueError as reason:
        return sentence(f"{plan}. {reason}")
    full = sum(one.branch is None for one in bars)
    return f"{strip(bars)}{sentence(f'{full} of {total} steps in full. {plan}.')}"


def sentence(words: str) -> str:
    return f'<p class="mm-plan">{text(words)}</p>'
