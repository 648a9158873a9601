"""Mutants of the engine, each of which a law has to find."""

import pytest
import torch

from mmcache import Plan, Taylor, Uniform, accelerate
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.engine.run import Lane, Run, Step
from mmcache.layouts.cut import Tap
from mmcache.testing import (
    LawBroken,
    check_fresh,
    check_kept_apart,
    check_one_feature,
)
from tests import tiny

PLAN = Plan(Uniform(3), Taylor(1))


def keeps_features_on_an_exception(monkeypatch):
    monkeypatch.setattr(Run, "clear_features", lambda self: None)


def keeps_features_on_restore(monkeypatch):
    monkeypatch.setattr(CachingScheduler, "clear_features", lambda self: None)


def keeps_references(monkeypatch):
    def keep(self, position, tensor):
        self._seen[position] = tensor

    monkeypatch.setattr(Tap, "keep", keep)


def uses_one_run_for_all(monkeypatch):
    begin = CachingScheduler._begin_run

    def again(self, clock):
        run = self._runs_here[-1] if self._runs_here else begin(self, clock)
        run.number = clock.run
        return run

    monkeypatch.setattr(CachingScheduler, "_begin_run", again)


@pytest.mark.parametrize(
    ("mutate", "check"),
    [
        (
            keeps_features_on_an_exception,
            lambda: check_one_feature(tiny.stable_diffusion(), tiny.sample, PLAN),
        ),
        (keeps_features_on_restore, lambda: check_one_feature(tiny.stable_diffusion(), tiny.sample, PLAN)),
        (keeps_references, lambda: check_kept_apart(tiny.stable_diffusion(), tiny.sample)),
        (uses_one_run_for_all, lambda: check_fresh(tiny.stable_diffusion, tiny.sample, PLAN)),
    ],
)
def test_a_law_finds_the_mutant(mutate, check, monkeypatch):
    check()
    mutate(monkeypatch)
    with pytest.raises(LawBroken):
        check()


def ignores_the_gap(monkeypatch):
    def begin_step(self, clock):
        last = self.step
        if last is not None and last.clock.step == clock.step:
            return last
        # As a lane would do that only looks at what it has: lanes of earlier steps stay.
        earlier = {} if last is None else {**last.before, **last.lanes}
        self.step = Step(clock, earlier)
        return self.step

    monkeypatch.setattr(Run, "begin_step", begin_step)


def ignores_the_signature(monkeypatch):
    def begin_call(self, origin, latent, is_handed_on):
        before = self.before.pop(len(self.lanes), None)
        lane = self.lanes[len(self.lanes)] = Lane(origin, before.observations if before else {})
        return lane, ""

    monkeypatch.setattr(Step, "begin_call", begin_call)


def lanes_that_come_and_go(batches):
    """A loop of one's own that calls the denoiser once or twice in a step; returns what each call was."""
    unet, scheduler = tiny.unet(), tiny.ddim()
    session = accelerate(unet, Plan(Uniform(10), branch=0), scheduler=scheduler)
    scheduler.set_timesteps(len(batches))
    text = tiny.embeddings()["prompt_embeds"]
    with torch.no_grad():
        for timestep, sizes in zip(scheduler.timesteps, batches, strict=True):
            latent = torch.zeros(1, 4, tiny.SIZE, tiny.SIZE)
            for size in sizes:
                shape = (size, -1, -1)
                unet(latent.expand(size, -1, -1, -1), timestep, encoder_hidden_states=text.expand(shape))
            scheduler.step(latent, timestep, latent)
    return [(step.step, step.lane, step.branch is None) for step in session.report().denoisers[0].steps]


SECOND_LANE_PAUSES = [(1, 1), (1, 1), (1,), (1, 1), (1, 1), (1, 1)]
BATCH_CHANGES = [(1,), (1,), (2,), (2,), (1,), (1,)]


def test_a_lane_that_has_paused_for_a_step_is_full():
    full = [(step, lane) for step, lane, is_full in lanes_that_come_and_go(SECOND_LANE_PAUSES) if is_full]
    assert full == [(0, 0), (0, 1), (3, 1)]


def test_a_call_of_another_shape_is_full():
    full = [step for step, _, is_full in lanes_that_come_and_go(BATCH_CHANGES) if is_full]
    assert full == [0, 2, 4]


@pytest.mark.parametrize(
    ("mutate", "check"),
    [
        (ignores_the_gap, test_a_lane_that_has_paused_for_a_step_is_full),
        (ignores_the_signature, test_a_call_of_another_shape_is_full),
    ],
)
def test_a_test_of_lanes_finds_the_mutant(mutate, check, monkeypatch):
    check()
    mutate(monkeypatch)
    with pytest.raises((AssertionError, RuntimeError)):
        check()
