"""The law of cached steps that run nothing: what is forecast is an output of the model."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch.utils._pytree import tree_structure

from mmcache.clocks.clock import StepClock
from mmcache.engine.call_signature import first_tensor
from mmcache.engine.kept_output import is_answered_by_output
from mmcache.engine.lanes import Lane, Origin
from mmcache.plans.branch import NOTHING
from mmcache.plans.forecast import Taylor
from mmcache.testing.probes import copied, kinds_of_calls, must_equal, require

TIMES = (900.0, 800.0, 700.0, 600.0)  # of full steps; the forecasts between them miss something


def check_output_forecast(pipe: Any, sample: Callable[[Any], Any]) -> None:
    """Law 1 where nothing runs: right after a full step the forecast at its time is its output.

    Whatever was kept before, and whatever forecasts have missed. It has the form of the output: the same
    class, with tensors of its own.
    """
    forecast = Taylor(1, repaid=1.0)
    for name, model, _, calls in kinds_of_calls(pipe, sample):
        for call in calls:
            if not is_answered_by_output(call):
                continue
            output = model(**copied(call))
            wanted = first_tensor(output).clone()
            lane = Lane(Origin(None))
            for number, time in enumerate(TIMES):
                first_tensor(output).copy_(wanted * (1 + 0.1 * (len(TIMES) - 1 - number) ** 2))
                require(bool(lane.keep_output(time, output, forecast)), f"law 1: {name}: not kept")
                clock = StepClock(0, number, None, time)
                if number < len(TIMES) - 1:
                    lane.forecast_output(replace(clock, time=time - 50.0), forecast)
            first_tensor(output).fill_(0)  # a sampler may write to what it was given
            require(bool(lane.observations[NOTHING][-1].missed), f"law 1: {name}: nothing was missed")
            again = lane.forecast_output(clock, forecast)
            same_form = tree_structure(again) == tree_structure(output)
            require(same_form, f"law 1: {name}: the forecast is another kind of output")
            must_equal(
                f"law 1: {name}: forecast at the time of a full step, and its output",
                first_tensor(again),
                wanted,
            )
