"""Improves the predicted plans by running them: what counts is the picture."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from mmcache.plans.plan import Plan
from mmcache.tools.tuning.candidates import METHODS, Candidate
from mmcache.tools.tuning.error_model import ErrorModel
from mmcache.tools.tuning.search import neighbours

PROMISING = 12  # of all moves of one full step, those with the least predicted error are tried


def refine(
    model: ErrorModel,
    candidates: Sequence[Candidate],
    decibels: Callable[[Plan], float],
    runs: int,
    seed: int = 0,
) -> Candidate:
    """Run the candidates, then climb from the best: one full step is moved, or features are carried on in
    another way, and that stays if it was better.

    Args:
        decibels: runs a plan; the mean PSNR to the full run.
        runs: at most so many, the candidates included.
    """
    measured = {candidate: decibels(candidate.plan(model)) for candidate in candidates[:runs]}
    for _ in range(runs - len(measured)):
        best = max(measured, key=measured.__getitem__)
        following = next(_untried(model, best, measured, random.Random(seed + len(measured))), None)
        if following is None:
            break
        measured[following] = decibels(following.plan(model))
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
