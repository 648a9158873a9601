"""Chooses a plan: predict, run the best predicted, climb from the best run."""

from collections.abc import Sequence

from mmcache.tools.tuning.candidates import METHODS, Candidate, Method
from mmcache.tools.tuning.error_model import ErrorModel
from mmcache.tools.tuning.refining import refine
from mmcache.tools.tuning.runs import Trials
from mmcache.tools.tuning.schedule import Prices, Schedule, with_full
from mmcache.tools.tuning.search import best_spacing, evenly_spaced, improved


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


def best_at_price(
    model: ErrorModel, prices: Prices, trials: Trials, branches: Sequence[int], speedup: float, runs: int
) -> Candidate:
    """The plan closest to the full run of those that take so many times fewer multiply-adds.

    Raises:
        ValueError: none does, at any of the branches.
    """
    counts = {branch: prices.affordable(model.steps, speedup, branch) for branch in branches}
    if not any(counts.values()):
        most = max(prices.speedup(with_full(model.steps, [0], branch)) for branch in branches)
        raise ValueError(
            f"a run of {model.steps} steps cannot take {speedup:g} times fewer multiply-adds: with one full "
            f"step it is {most:.2f} times; ask for less, or sample with more steps"
        )
    candidates = [c for branch, count in counts.items() if count for c in predicted(model, count, branch)]
    return refine(model, candidates, lambda plan: trials.decibels(plan).mean(), runs)


def cheapest_at(
    model: ErrorModel, prices: Prices, trials: Trials, branches: Sequence[int], psnr: float, runs: int
) -> Candidate:
    """The plan with the fewest full steps that comes so close to the full run, in dB.

    The number of full steps is bisected, each with the two best predicted plans; what runs are left climb
    from there.

    Raises:
        ValueError: none does.
    """
    branch, least, most = branches[0], 1, model.steps - 1
    if trials.decibels(_quick(model, trials, most, branch).plan(model)).mean() < psnr:
        raise ValueError(f"psnr={psnr:g}: not even with {most} of {model.steps} steps in full it is reached")
    while least < most:
        middle = (least + most) // 2
        close = trials.decibels(_quick(model, trials, middle, branch).plan(model)).mean() >= psnr
        least, most = (least, middle) if close else (middle + 1, most)
    price = prices.speedup(with_full(model.steps, list(range(most)), branch))
    return best_at_price(model, prices, trials, branches, price, runs)


def _quick(model: ErrorModel, trials: Trials, count: int, branch: int) -> Candidate:
    """The better of the two best predicted plans."""
    return refine(
        model, predicted(model, count, branch)[:2], lambda plan: trials.decibels(plan).mean(), runs=2
    )
