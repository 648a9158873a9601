"""What instead: holding and extrapolating."""

import pytest
import torch

from mmcache import Hold, Taylor
from mmcache.clocks.clock import StepClock
from mmcache.engine.lanes import Lane, Origin
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
    lane = Lane(Origin(None))
    for time, value in ((900.0, 1.0), (800.0, 2.0), (800.0, 3.0)):
        lane.keep(0, time, (torch.tensor([value]),), Taylor(1))
    assert [seen.time for seen in lane.observations[0]] == [900.0, 800.0]
    assert torch.equal(lane.forecast(0, StepClock(0, 3, 10, 700.0), Taylor(1))[0], torch.tensor([5.0]))


@pytest.mark.parametrize("order", [0, -1, 1.5, "1", True])
def test_wrong_order(order):
    with pytest.raises(ValueError, match="order must be a whole number of at least 1"):
        Taylor(order)


def ran(forecast, curve, full, times):
    """What a lane hands out at each of these times, where those in `full` are observed."""
    lane, handed_out = Lane(Origin(None)), {}
    for step, time in enumerate(times):
        if time in full:
            lane.keep(0, time, (curve(time),), forecast)
        else:
            (handed_out[time],) = lane.forecast(0, StepClock(0, step, None, time), forecast)
    return handed_out


def test_what_forecasts_missed_is_repaid_once_at_the_first_forecast_behind_a_full_step():
    """For a parabola the polynomial through the new full step too is the truth, so the debt is exact."""
    times = [1000.0, 900.0, 850.0, 800.0, 700.0, 650.0, 600.0, 500.0]
    full = {1000.0, 900.0, 700.0}

    def curve(time):
        return torch.tensor([time**2 / 1e4, 3.0 - time / 100], dtype=torch.float64)

    plain = ran(Taylor(1), curve, full, times)
    repaid = ran(Taylor(1, repaid=1.0), curve, full, times)
    half = ran(Taylor(1, repaid=0.5), curve, full, times)
    owed = sum(curve(time) - plain[time] for time in (850.0, 800.0))
    assert owed.abs().max() > 1
    assert torch.allclose(repaid[650.0], plain[650.0] + owed)
    assert torch.allclose(half[650.0], plain[650.0] + owed / 2)
    for time in (850.0, 800.0, 600.0, 500.0):
        assert torch.equal(repaid[time], plain[time])


def test_the_debt_of_taylor_1_is_a_second_divided_difference():
    """The closed form: [t0, t1, t2] f times the sum of (t - t1)(t - t0) over the cached steps."""
    torch.manual_seed(0)
    values = dict(zip((900.0, 700.0, 400.0), torch.randn(3, 5, dtype=torch.float64), strict=True))
    (t0, f0), (t1, f1), (t2, f2) = values.items()
    times = [t0, t1, 600.0, 500.0, t2, 300.0]
    plain, repaid = (ran(Taylor(1, repaid=share), values.get, values, times)[300.0] for share in (0.0, 1.0))
    divided = ((f2 - f1) / (t2 - t1) - (f1 - f0) / (t1 - t0)) / (t2 - t0)
    assert torch.allclose(repaid - plain, divided * sum((t - t1) * (t - t0) for t in (600.0, 500.0)))


@pytest.mark.parametrize("order", [1, 2])
def test_nothing_is_owed_where_forecasts_were_right(order):
    def line(time):
        return torch.tensor([2.0 * time - 7.0], dtype=torch.float64)

    times, full = [1000.0, 900.0, 800.0, 700.0, 600.0, 500.0], {1000.0, 900.0, 700.0}
    for time, feature in ran(Taylor(order, repaid=1.0), line, full, times).items():
        assert torch.allclose(feature, line(time))


def test_at_the_time_of_a_full_step_nothing_is_repaid_yet():
    times, full = [1000.0, 900.0, 850.0, 700.0], {1000.0, 900.0, 700.0}
    forecast, lane = Taylor(1, repaid=1.0), Lane(Origin(None))
    torch.manual_seed(0)
    for step, time in enumerate(times):
        if time in full:
            lane.keep(0, time, (torch.randn(4),), forecast)
        else:
            lane.forecast(0, StepClock(0, step, None, time), forecast)
    last = lane.observations[0][-1]
    assert last.missed == (850.0,)
    (again,) = lane.forecast(0, StepClock(0, 4, None, 700.0), forecast)
    assert torch.equal(again, last.feature[0])
    assert lane.observations[0][-1].missed == (850.0,)


@pytest.mark.parametrize("repaid", [-0.1, 1.5, float("nan"), "1", True])
def test_wrong_share(repaid):
    with pytest.raises(ValueError, match="repaid must be"):
        Taylor(1, repaid=repaid)


def test_where_the_foretold_change_does_not_come_true_the_last_feature_is_held():
    """A walk that turns back at every full step, as noise does, beside one that goes on."""
    turns = torch.tensor([[-1.0], [1.0]])  # of the two samples of a batch: each is judged by itself
    forecast = Taylor(1, checked=True)
    lane = Lane(Origin(None))
    values = [torch.zeros(2, 8), torch.ones(2, 8), torch.ones(2, 8) * (1 + turns)]
    for time, value in zip((900.0, 800.0, 700.0), values, strict=True):
        lane.keep(0, time, (value,), forecast)
    (feature,) = lane.forecast(0, StepClock(0, 3, None, 650.0), forecast)
    assert torch.equal(feature[0], values[-1][0])
    assert torch.allclose(feature[1], values[-1][1] + 0.5)
    assert feature.data_ptr() != lane.observations[0][-1].feature[0].data_ptr()


@pytest.mark.parametrize("frames", [1, 3])
def test_an_image_with_and_without_its_prompt_is_judged_as_one(frames):
    """Two images in a batch of guidance. The first turns back without its prompt, and less so with it."""
    turns = torch.tensor([-3.0, 1.0, 1.0, 1.0]).repeat_interleave(frames)[:, None].expand(-1, 8)
    sample = torch.randn(2, 4).repeat(2, 1)  # without the prompts, then with them
    forecast, lane = Taylor(1, checked=True), Lane(Origin(None))
    zeros = torch.zeros(4 * frames, 8)
    for time, value in zip((900.0, 800.0, 700.0), (zeros, zeros + 1, zeros + 1 + turns), strict=True):
        lane.keep(0, time, (value,), forecast, sample)
    (feature,) = lane.forecast(0, StepClock(0, 3, None, 650.0), forecast)
    held = [
        torch.equal(row, last) for row, last in zip(feature, lane.observations[0][-1].feature[0], strict=True)
    ]
    assert held == [held for held in (True, False, True, False) for _ in range(frames)]
