"""Spectrum (arXiv 2603.01623), written from its equations.

The denoiser's output is taken for a function of the step and fitted by Chebyshev polynomials of degree 4, by
ridge regression over all full steps so far; half of the forecast is this, half a straight line through the
last two, as its authors recommend. The paper forecasts what the last block returns; here it is the output of
the last layer, so that it fits every transformer. Full steps grow rarer as the run goes on: after
five, gaps begin at `window` steps, and each is longer by `growth` than the one before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.polynomial import chebyshev

from mmcache.plans.forecast import lagrange_weights
from mmcache_demos.transformers.diffusers_caches import Held
from mmcache_demos.transformers.subjects import Subject

DEGREE = 4
RIDGE = 0.1
BLEND = 0.5  # the share of the polynomials beside the straight line
WARMUP = 5  # full steps at the start
WINDOWS = range(2, 9)
GROWTHS = np.arange(0.0, 4.01, 0.25)


def full_steps(setting: tuple[int, float], steps: int) -> list[int]:
    """The full steps of a run, by a window and its growth."""
    window, growth = setting
    length = float(window)
    full = list(range(min(WARMUP, steps)))
    while full[-1] + int(length) < steps:
        full.append(full[-1] + int(length))
        length += growth
    return full


def weights(full: list[int], step: int, steps: int) -> np.ndarray:
    """How much the output of each full step counts in the forecast of a step."""
    places = 2 * np.array([*full, step]) / steps - 1
    *rows, wanted = chebyshev.chebvander(places, DEGREE)
    known = np.array(rows)
    found = BLEND * wanted @ np.linalg.solve(known.T @ known + RIDGE * np.eye(DEGREE + 1), known.T)
    found[-2:] += (1 - BLEND) * np.array(lagrange_weights(step, full[-2:]))
    return found


class Spectrum:
    """In place of a denoiser's forward.

    Args:
        forward: the denoiser's own.
        full: the full steps.
        steps: of the run.
    """

    def __init__(self, forward: Any, full: list[int], steps: int) -> None:
        self._forward, self._full, self._steps = forward, full, steps
        self.kept: dict[int, list[torch.Tensor]] = {}  # by the identity of the prompt, which a run keeps
        self._calls: dict[int, int] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor]:
        prompt = id(kwargs["encoder_hidden_states"])
        step = self._calls.get(prompt, 0)
        self._calls[prompt] = step + 1
        if step in self._full:
            (returned,) = self._forward(*args, **kwargs)
            self.kept.setdefault(prompt, []).append(returned)
            return (returned,)
        kept = self.kept[prompt]
        counts = weights(self._full[: len(kept)], step, self._steps)
        return (sum(float(count) * one for count, one in zip(counts, kept, strict=True)),)  # type: ignore[return-value]


@contextmanager
def by_spectrum(subject: Subject, pipe: Any, setting: tuple[int, float]) -> Iterator[Held]:
    """For a pipeline that is used once: nothing takes it off. The setting is a window and its growth."""
    model = pipe.transformer
    full = full_steps(setting, subject.steps)
    cache = model.forward = Spectrum(model.forward, full, subject.steps)
    yield lambda: sum(one.nbytes for kept in cache.kept.values() for one in kept)
