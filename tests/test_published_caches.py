"""The caches that are written from papers' equations."""

from itertools import combinations

import numpy as np
import pytest
import torch

from mmcache.tools.tuning.error_model import ErrorModel
from mmcache_demos.transformers.published_schedules import gap_errors, minimax_path
from mmcache_demos.transformers.spectrum import Spectrum, full_steps, weights

STEPS = 7


@pytest.fixture(scope="module")
def model():
    """Of random features that change slowly."""
    features = np.random.default_rng(0).normal(size=(5, STEPS)).cumsum(axis=1)
    reach = np.linspace(1.0, 3.0, STEPS)
    return ErrorModel(list(range(STEPS)), {0: features.T @ features}, {0: reach})


def test_the_gaps_of_spectrum_grow():
    assert full_steps((2, 1.0), 20) == [0, 1, 2, 3, 4, 6, 9, 13, 18]
    assert full_steps((3, 0.0), 12) == [0, 1, 2, 3, 4, 7, 10]


def test_spectrum_forecasts_what_its_equations_say():
    """Half of the line through the last two, half of the ridge regression, here of a constant."""
    full = [0, 1, 2, 3, 4]
    found = weights(full, 5, 20)
    basis = np.polynomial.chebyshev.chebvander(2 * np.arange(6) / 20 - 1, 4)
    coefficients = np.linalg.solve(basis[:5].T @ basis[:5] + 0.1 * np.eye(5), basis[:5].T @ np.ones(5))
    assert found.sum() == pytest.approx(0.5 + 0.5 * basis[5] @ coefficients)
    assert found @ np.arange(5) == pytest.approx(5, abs=1)


def test_spectrum_calls_the_model_at_full_steps_only():
    called = []

    def forward(step, **prompt):
        called.append(step)
        return (torch.full((2,), float(step)),)

    cache, prompt = Spectrum(forward, full_steps((2, 0.0), 10), 10), torch.ones(1)
    for step in range(10):
        (returned,) = cache(step, encoder_hidden_states=prompt)
        seen = [one for one in called if one <= step]
        expected = step if step in called else weights(seen, step, 10) @ np.array(seen)
        assert returned[0] == pytest.approx(expected)
    assert called == [0, 1, 2, 3, 4, 6, 8]


def test_a_gap_holds_its_first_feature_throughout(model):
    root, reach = model.root(0), model.reach[0]
    found = gap_errors(model)
    for first, following in ((0, 1), (1, 4), (3, STEPS)):
        off = sum(reach[step] * (root[:, step] - root[:, first]) for step in range(first, following))
        assert found[first, following] == pytest.approx(np.square(off).sum())


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_path_has_the_smallest_largest_gap(model, count):
    errors = gap_errors(model)

    def largest(full):
        return max(errors[a, b] for a, b in zip(full, [*full[1:], STEPS], strict=True))

    found = minimax_path(errors, count)
    every = [[0, *rest] for rest in combinations(range(1, STEPS), count - 1)]
    assert found in every
    assert largest(found) == pytest.approx(min(map(largest, every)))
