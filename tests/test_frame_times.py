"""A time for each frame: at which step a video model is that gets one."""

import itertools

import pytest
import torch
from diffusers import (
    DDIMScheduler,
)

from mmcache.clocks.scheduler_clock import SchedulerClock


@pytest.mark.parametrize(
    ("timesteps", "told"),
    [
        (lambda times, step: [times[step]] * 3, True),
        # Frames that are given, without noise and with less noise, stand still.
        (lambda times, step: [0, min(500.5, times[step]), times[step]], True),
        # Diffusion forcing: frames are at several steps at once, so no step is before another.
        (lambda times, step: [times[min(step + frame, len(times) - 1)] for frame in range(3)], False),
    ],
    ids=["all alike", "some given", "forced"],
)
def test_a_time_for_each_frame_tells_the_step_of_those_that_are_drawn(timesteps, told):
    scheduler = DDIMScheduler()
    clock = SchedulerClock(scheduler, itertools.count(1), lambda: None, lambda run, step: None)
    scheduler.set_timesteps(6)
    times = scheduler.timesteps.tolist()
    ticks = []
    for step in range(2):
        ticks.append(clock.tick(torch.tensor([timesteps(times, step)], dtype=torch.float32)))
        scheduler.step(torch.zeros(1, 4), scheduler.timesteps[step], torch.zeros(1, 4))
    clock.release()
    assert [tick is not None for tick in ticks] == [told, told]
