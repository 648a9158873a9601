"""Which configurations a sweep has: a grid of plans, and beside it always the control configurations."""

from collections.abc import Iterable, Sequence

from mmcache.plans.forecast import Forecast, Hold, Taylor
from mmcache.plans.plan import Plan
from mmcache.plans.policy import NonUniform, Policy, Uniform
from mmcache.tools.running.call_settings import check_count
from mmcache.tools.sweeping.configurations import Cached, Configuration, FewerSteps, Full, RepeatedOutput

INTERVALS = (2, 3, 5)
BRANCHES = (0, 1)
FORECASTS: tuple[Forecast, ...] = (Hold(), Taylor(1), Taylor(2))
POLICIES: tuple[type[Policy], ...] = (Uniform, NonUniform)
LEAST_FEWER = 1.5  # times: the control configuration goes on where no interval does
BETWEEN_INTERVALS = "interval 1 is the full run itself, which is always there"

# Center and power for Stable Diffusion v1.5 at 50 steps, by interval (DeepCache, appendix).
PUBLISHED = {2: (15, 1.5), 3: (15, 1.3), 4: (15, 1.4), 5: (10, 1.5), 6: (15, 1.3), 7: (15, 1.4), 8: (10, 1.4)}
PUBLISHED_STEPS = 50


def policy_of(kind: type[Policy], interval: int, steps: int) -> Policy:
    """A policy with this interval; non-uniform ones as published, the center in proportion to the steps."""
    if kind is not NonUniform:
        return kind(interval)  # type: ignore[call-arg]
    center, power = PUBLISHED.get(interval, (15, 1.4))
    return NonUniform(interval, round(center * steps / PUBLISHED_STEPS), power)


def grid(
    steps: int,
    intervals: Sequence[int] = INTERVALS,
    branches: Sequence[int | str] = BRANCHES,
    forecasts: Sequence[Forecast] = FORECASTS,
    policies: Sequence[type[Policy]] = POLICIES,
    plans: Iterable[Plan] = (),
    last_output: bool = True,
) -> list[Configuration]:
    """The configurations of a sweep, the full run first.

    Args:
        steps: sampling steps of the full run.
        intervals, branches, forecasts, policies: every combination is a plan.
        plans: more of them.
        last_output: with the ablation that repeats the denoiser's last output.

    Raises:
        ValueError: a setting that no plan can have, or nothing to sweep.
    """
    check_count("steps", steps, least=2)
    for interval in intervals:
        check_count("interval", interval)
        if interval == 1:
            raise ValueError(f"interval=1: {BETWEEN_INTERVALS}")
    chosen = [
        Plan(policy_of(kind, interval, steps), forecast, branch)
        for kind in policies
        for forecast in forecasts
        for branch in branches
        for interval in sorted(intervals)
    ]
    chosen += plans
    if not chosen:
        raise ValueError("nothing to sweep: give intervals, branches, forecasts and policies, or plans")
    configurations: list[Configuration] = [Full(steps), *(Cached(steps, plan) for plan in chosen)]
    known = sorted(
        {*intervals, *(configuration.interval for configuration in configurations if configuration.interval)}
    )
    if last_output:
        configurations += [RepeatedOutput(steps, Uniform(interval)) for interval in known]
    configurations += [FewerSteps(fewer) for fewer in fewer_steps(steps, known)]
    return list({configuration.label: configuration for configuration in configurations}.values())


def fewer_steps(steps: int, intervals: Sequence[int]) -> list[int]:
    """Steps of the control configurations: about as many as a run at each interval has full ones."""
    found = {max(1, round(steps / times)) for times in (LEAST_FEWER, *(intervals or INTERVALS))}
    return sorted(found - {steps}, reverse=True)
