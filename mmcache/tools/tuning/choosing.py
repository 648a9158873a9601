"""Chooses a plan: predict, run the best predicted, improve the best run step by step."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from mmcache.plans.plan import Plan
from mmcache.tools.tuning.candidates import METHODS, Candidate, Method
from mmcache.tools.tuning.error_model import ErrorModel
from mmcache.tools.tuning.runs import Trials
from mmcache.tools.tuning.schedule import Schedule, StepCosts, with_full
from mmcache.tools.tuning.search import best_spacing, evenly_spaced, improved, neighbours

PROMISING = 12  # of all moves of one full step, those with the least predicted error are tried


def predicted(model: ErrorModel, count: int, branch: int) -> list[Candidate]:
    """For each method the schedule with the least predicted error, and the evenly spaced one to beat.

    The least predicted error comes first. A prediction is no measurement: at 22 full steps of 50 the
    text-to-image miniature came closest to its full run under a plan that was third in this order.
    """
    spaced = with_full(model.steps, best_spacing(model, count, branch), branch)
    even = with_full(model.steps, evenly_spaced(model.steps, count), branch)
    found = []
    for method in METHODS:

        def error(schedule: Schedule, method: Method = method) -> float:
            return Candidate(schedule, method, branch).error(model)

        best = improved(min(spaced, even, key=error), branch, error)
        found += [Candidate(schedule, method, branch) for schedule in (best, even)]
    return sorted(set(found), key=lambda candidate: candidate.error(model))


def best_at_cost(
    model: ErrorModel, costs: StepCosts, trials: Trials, branches: Sequence[int], speedup: float, runs: int
) -> Candidate:
    """The plan closest to the full run of those that take so many times fewer multiply-adds.

    Raises:
        ValueError: none does, at any of the branches.
    """
    counts = {branch: costs.affordable(model.steps, speedup, branch) for branch in branches}
    if not any(counts.values()):
        most = max(costs.speedup(with_full(model.steps, [0], branch)) for branch in branches)
        raise ValueError(
            f"a run of {model.steps} steps cannot take {speedup:g} times fewer multiply-adds: with one full "
            f"step it is {most:.2f} times; ask for less, or sample with more steps"
        )
    candidates = [c for branch, count in counts.items() if count for c in predicted(model, count, branch)]
    return refine(model, candidates, lambda plan: trials.psnr(plan).mean(), runs)


def cheapest_at(
    model: ErrorModel, costs: StepCosts, trials: Trials, branches: Sequence[int], psnr: float, runs: int
) -> Candidate:
    """The plan with the fewest full steps that comes so close to the full run, in dB.

    The number of full steps is bisected, each with the two best predicted plans. The other runs improve the
    plan from there.

    Raises:
        ValueError: none does.
    """
    branch, least, most = branches[0], 1, model.steps - 1
    if trials.psnr(_quick(model, trials, most, branch).plan(model)).mean() < psnr:
        raise ValueError(
            f"psnr={psnr:g}: not reached even with {most} of {model.steps} full steps; ask for less"
        )
    while least < most:
        middle = (least + most) // 2
        close = trials.psnr(_quick(model, trials, middle, branch).plan(model)).mean() >= psnr
        least, most = (least, middle) if close else (middle + 1, most)
    least_speedup = costs.speedup(with_full(model.steps, list(range(most)), branch))
    return best_at_cost(model, costs, trials, branches, least_speedup, runs)


def _quick(model: ErrorModel, trials: Trials, count: int, branch: int) -> Candidate:
    """The better of the two best predicted plans."""
    return refine(model, predicted(model, count, branch)[:2], lambda plan: trials.psnr(plan).mean(), runs=2)


def refine(
    model: ErrorModel,
    candidates: Sequence[Candidate],
    psnr_of: Callable[[Plan], float],
    runs: int,
    seed: int = 0,
) -> Candidate:
    """Run the candidates, then improve the best: move one full step, or change the method, if it is better.

    Args:
        psnr_of: runs a plan; the mean PSNR to the full run.
        runs: at most so many, the candidates included.
    """
    measured = {candidate: psnr_of(candidate.plan(model)) for candidate in candidates[:runs]}
    for _ in range(runs - len(measured)):
        best = max(measured, key=measured.__getitem__)
        following = next(_untried(model, best, measured, random.Random(seed + len(measured))), None)
        if following is None:
            break
        measured[following] = psnr_of(following.plan(model))
    return max(measured, key=measured.__getitem__)


def _untried(
    model: ErrorModel, best: Candidate, tried: dict[Candidate, float], chance: random.Random
) -> Iterator[Candidate]:
    """What differs from the best candidate in one thing: the promising ones first, in random order."""
    moved = [replace(best, schedule=schedule) for schedule in neighbours(best.schedule, best.branch)]
    moved += [replace(best, method=method) for method in METHODS]
    fresh = sorted((c for c in moved if c not in tried), key=lambda candidate: candidate.error(model))
    chance.shuffle(promising := fresh[:PROMISING])
    yield from [*promising, *fresh[PROMISING:]]
