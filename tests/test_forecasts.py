"""What instead: holding and extrapolating."""

import pytest
import torch

from mmcache import Hold, Taylor
from mmcache.clocks.clock import StepClock
from mmcache.engine.run import Lane
from mmcache.plans.forecast import Observation


def observations(times, feature):
    return [Observation(time, (feature(time),)) for time in times]


def test_hold_returns_a_copy_of_the_last():
    past = observations([900.0, 800.0], lambda time: torch.full((2, 3), time))
    (feature,) = Hold().at(700.0, past[-1:])
    assert torch.equal(feature, past[-1].feature[0])
    feature.zero_()
    assert past[-1].feature[0].min() == 800  # what is kept is not what is handed out


@pytest.mark.parametrize("order", [1, 2, 3])
def test_taylor_is_exact_for_polynomials_of_its_order_over_uneven_times(order):
    torch.manual_seed(0)
    coefficients = torch.randn(order + 1, 4, dtype=torch.float64)

    def curve(time):
        return sum(c * (time / 1000) ** k for k, c in enumerate(coefficients))

    past = observations([950.0, 910.0, 700.0, 640.0][: order + 1], curve)
    (feature,) = Taylor(order).at(500.0, past)
    assert torch.allclose(feature, curve(500.0), atol=1e-12)


def test_taylor_at_the_time_of_the_last_full_step_is_that_step_bit_for_bit():
    torch.manual_seed(0)
    past = observations([900.0, 800.0, 750.0], lambda time: torch.randn(5))
    assert torch.equal(Taylor(2).at(750.0, past)[0], past[-1].feature[0])


def test_taylor_with_one_observation_holds():
    past = observations([900.0], lambda time: torch.full((3,), time))
    assert torch.equal(Taylor(2).at(100.0, past)[0], past[0].feature[0])


def test_half_precision_is_summed_in_single_precision():
    one = torch.tensor([1.0, 1000.0], dtype=torch.float16)
    other = torch.tensor([1.0009765625, 1000.5], dtype=torch.float16)
    (feature,) = Taylor(1).at(0.0, [Observation(100.0, (one,)), Observation(90.0, (other,))])
    assert feature.dtype == torch.float16
    assert torch.equal(feature, (one.float() * -9 + other.float() * 10).half())


def test_a_repeated_time_replaces_the_older_observation():
    """Heun and PNDM evaluate twice at one timestep; between equal times there is no slope."""
    lane = Lane(signature=None)
    for time, value in ((900.0, 1.0), (800.0, 2.0), (800.0, 3.0)):
        lane.keep(0, time, (torch.tensor([value]),), memory=2)
    assert [seen.time for seen in lane.observations[0]] == [900.0, 800.0]
    assert torch.equal(lane.forecast(0, StepClock(0, 3, 10, 700.0), Taylor(1))[0], torch.tensor([5.0]))


@pytest.mark.parametrize("order", [0, -1, 1.5, "1", True])
def test_wrong_order(order):
    with pytest.raises(ValueError, match="order must be a whole number of at least 1"):
        Taylor(order)
