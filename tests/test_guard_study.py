"""The study of a budget that sees the image: images of one batch cached by full steps of their own."""

import math

import numpy as np
import pytest
import torch

from mmcache import Hold, Plan, StepMask, Taylor
from mmcache.plans.forecast import Observation
from mmcache.plans.preview import full_steps
from mmcache.tools.running.requests import image_requests
from mmcache.tools.tuning.runs import Trials
from mmcache_demos.portraits.guard_study import Guard, Measured, forecast_error, halves, run, study
from tests.tiny_prompted import prompted

STEPS = 8
MASKS = ({0, 3, 6}, {0, 2, 5})
SETTINGS = {"num_inference_steps": STEPS, "guidance_scale": 3.0, "height": 16, "width": 16}


def trials(count: int, seed: int = 0) -> Trials:
    return Trials(prompted(), image_requests([f"a portrait {n}" for n in range(count)], 1, seed), SETTINGS, 2)


@pytest.mark.parametrize("branch", [0, "none"])
def test_each_image_is_what_its_own_full_steps_make_of_it(branch):
    both = trials(2)
    plans = [Plan(StepMask(sorted(mask)), Taylor(1, checked=True), branch) for mask in MASKS]
    expected = [both.psnr(plan)[number] for number, plan in enumerate(plans)]
    found = run(both, plans[0], [Guard(set(mask)) for mask in MASKS])
    assert np.allclose(found, expected, atol=0.01)
    other = run(both, plans[0], [Guard(set(mask)) for mask in reversed(MASKS)])
    assert not np.allclose(other, expected, atol=0.01)


def seen(*values: float) -> list[Observation]:
    return [Observation(float(time), (torch.tensor([value]),)) for time, value in enumerate(values)]


def test_a_guard_halves_the_next_gap_where_the_error_is_larger_than_usual():
    usual = {4: forecast_error(seen(1.0, 2.0, 3.5))}
    for last, full in ((3.6, {0, 1, 4, 10}), (9.0, {0, 1, 4, 7, 10})):
        guard = Guard({0, 1, 4, 10}, usual, factor=1.5, most=1)
        guard.seen(4, seen(1.0, 2.0, last))
        assert guard.full == full
    guard.seen(7, seen(1.0, 2.0, 9.0))
    assert guard.full == {0, 1, 4, 7, 10}  # it has added as many as it may


def test_the_error_of_a_parabola_does_not_depend_on_the_gaps():
    def at(*times: float) -> Measured:
        return forecast_error([Observation(t, (torch.tensor([1 + t * t / 1e4]),)) for t in times])

    assert at(0, 10, 20).error == pytest.approx(at(0, 5, 10).error, abs=0.05)
    assert at(0, 10).observations == 1


def test_gaps_are_halved_from_a_step_on():
    assert halves({0, 5, 10, 11, 15}, 0, 2) == {2, 7}
    assert halves({0, 5, 10, 11, 15}, 10, 2) == {13}


def test_the_study_counts_what_it_adds():
    plan = Plan(StepMask([0, 2, 4, 6]), Hold(), 0)
    denser = Plan(StepMask([0, 2, 4, 5, 6]), Hold(), 0)
    found = list(study(trials(4), trials(2, seed=9), plan, [denser], factor=1.0, most=1))
    more = {way.split(";")[0]: added for way, added, _ in found}
    assert more["the plan's"] == 0
    assert more["guarded"] == more["the same, for other images"] > 0
    assert more["more for every image"] == 1
    assert all(len(decibels) == 4 and math.isfinite(decibels.sum()) for _, _, decibels in found)
    assert full_steps(denser, STEPS) == {0, 2, 4, 5, 6}
