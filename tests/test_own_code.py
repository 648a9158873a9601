"""Somebody's own code between the steps of a pipeline of diffusers, put there without a callback."""

import functools
import threading
import types

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from mmcache import MmcacheWarning, accelerate
from mmcache.clocks.handed_latent import HandedLatent
from tests import tiny
from tests.test_community_loops import Loop


def turned(result, by):
    """A result of a denoiser or a sampler, rolled."""
    return (result[0].roll(by, -1), *result[1:])


class Counted:
    """Calls numbered from 1 on."""

    def __init__(self):
        self.number = 0

    def __next__(self):
        self.number += 1
        return self.number


def forward_that_turns(pipe):
    inner, calls = pipe.unet.forward, Counted()

    def forward(sample, *args, **kwargs):
        by = 3 * next(calls)
        return turned(inner(sample.roll(by, -1), *args, **kwargs), -by)

    pipe.unet.forward = forward


def hooks_that_turn(pipe):
    calls = Counted()

    def before(module, args):
        return (args[0].roll(3 * next(calls), -1), *args[1:])

    def behind(module, args, result):
        return turned(result, -3 * calls.number)

    pipe.unet.register_forward_pre_hook(before)
    pipe.unet.register_forward_hook(behind)


def step_that_turns(pipe):
    inner = pipe.scheduler.step
    pipe.scheduler.step = lambda *args, **kwargs: turned(inner(*args, **kwargs), 3)


def step_bound_by_partial(pipe):
    def step(inner, *args, **kwargs):
        return turned(inner(*args, **kwargs), 3)

    pipe.scheduler.step = functools.partial(step, pipe.scheduler.step)


class TurnedStep:
    """A step that is an object."""

    def __init__(self, inner):
        self.inner = inner

    def __call__(self, *args, **kwargs):
        return turned(self.inner(*args, **kwargs), 3)


def step_that_is_an_object(pipe):
    pipe.scheduler.step = TurnedStep(pipe.scheduler.step)


def forward_of_a_module_named_like_a_library(pipe):
    """In `torch_tricks.py`, say."""
    names = {"inner": pipe.unet.forward, "calls": Counted(), "turned": turned, "__name__": "torch_tricks"}
    exec(
        "def forward(sample, *args, **kwargs):\n"
        "    by = 3 * next(calls)\n"
        "    return turned(inner(sample.roll(by, -1), *args, **kwargs), -by)",
        names,
    )
    pipe.unet.forward = names["forward"]


def input_that_is_turned(pipe):
    inner, calls = pipe.scheduler.scale_model_input, Counted()
    pipe.scheduler.scale_model_input = lambda sample, time: inner(sample, time).roll(3 * next(calls), -1)


class TurningSampler(DDIMScheduler):
    def step(self, *args, **kwargs):
        return turned(super().step(*args, **kwargs), 3)


def sampler_that_turns(pipe):
    pipe.scheduler = TurningSampler.from_config(pipe.scheduler.config)


TURNS = (
    forward_that_turns,
    forward_of_a_module_named_like_a_library,
    hooks_that_turn,
    step_that_turns,
    step_bound_by_partial,
    step_that_is_an_object,
    input_that_is_turned,
    sampler_that_turns,
)


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: turn.__name__)
def test_a_latent_that_is_turned_without_a_callback_needs_features_of_its_own(turn):
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    turn(pipe)
    tiny.sample(pipe)
    assert tiny.steps_of(session) == "F" * tiny.STEPS
    assert "untold_lanes" in [note.kind for note in session.report().notes]


@pytest.mark.parametrize(
    "turn", [None, forward_that_turns, hooks_that_turn], ids=["nothing", "forward", "hooks"]
)
def test_what_stands_around_the_denoiser_may_turn_a_latent_that_its_pipeline_keeps(turn, monkeypatch):
    """On a GPU, where a latent is not looked at as long as its pipeline has it among its variables."""
    monkeypatch.setattr(HandedLatent, "is_with_callers", lambda self: True)
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    if turn is not None:
        turn(pipe)
    tiny.sample(pipe, callback_on_step_end=lambda pipe, step, timestep, tensors: tensors)
    assert tiny.steps_of(session) == ("F00F00F00F" if turn is None else "F" * tiny.STEPS)


def test_a_step_that_was_put_on_the_class_of_a_scheduler_is_the_one_that_runs(monkeypatch):
    def step(self, *args, plain=DDIMScheduler.step, **kwargs):
        return turned(plain(self, *args, **kwargs), 3)

    def run(accelerated):
        pipe = tiny.small()
        session = accelerate(pipe, interval=3) if accelerated else None
        with monkeypatch.context() as patch:
            patch.setattr(DDIMScheduler, "step", step)
            return tiny.sample(pipe), session and tiny.steps_of(session)

    (wanted, _), (found, ran) = run(False), run(True)
    assert torch.equal(found, wanted)
    assert ran == "F" * tiny.STEPS


def weights_at(pipe, calls):
    if next(calls) == 6:
        with torch.no_grad():
            for weight in pipe.unet.parameters():
                weight.mul_(1.1)


def by_a_hook(pipe):
    calls = Counted()
    pipe.unet.register_forward_pre_hook(lambda module, args: weights_at(pipe, calls))


def by_a_forward(pipe):
    inner, calls = pipe.unet.forward, Counted()

    def forward(*args, **kwargs):
        weights_at(pipe, calls)
        return inner(*args, **kwargs)

    pipe.unet.forward = forward


def by_the_sampler(pipe):
    inner, calls = pipe.scheduler.scale_model_input, Counted()

    def scale(sample, time):
        weights_at(pipe, calls)
        return inner(sample, time)

    pipe.scheduler.scale_model_input = scale


def by_the_progress_bar(pipe):
    calls = Counted()
    next(calls)

    class Bar:
        def __enter__(self):
            return self

        def __exit__(self, *exc):
            pass

        def update(self):
            weights_at(pipe, calls)

    pipe.progress_bar = lambda *args, **kwargs: Bar()


@pytest.mark.parametrize(
    "change", [by_a_hook, by_a_forward, by_the_sampler, by_the_progress_bar], ids=lambda one: one.__name__
)
def test_weights_that_change_without_a_callback_make_the_step_full(change):
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    change(pipe)
    tiny.sample(pipe)
    assert tiny.steps_of(session)[:6] == "F00F0F"
    assert "conditioning_changed" in [note.kind for note in session.report().notes]


class OtherWeightsMidway(Loop):
    """A pipeline of one's own, with a model for the first half of the steps and one for the second."""

    def step(self, x, number, time):
        if number == 5:
            with torch.no_grad():
                for weight in self.unet.parameters():
                    weight.mul_(1.1)
        return super().step(x, number, time)


def test_weights_that_a_pipeline_of_ones_own_changes_make_the_step_full():
    pipe = tiny.small(OtherWeightsMidway)
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe)
    assert tiny.steps_of(session)[:6] == "F00F0F"


def test_a_pipeline_that_nobody_has_touched_is_cached_as_before():
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe)
    assert tiny.steps_of(session) == "F00F00F00F"
    assert not session.denoisers["unet"].run.step.clock.own_code


class Perturbed(Loop):
    """Guidance away from a call whose deep layers are perturbed, by a hook for this call alone."""

    def noise(self, x, time):
        plain = self.unet(x, time, self.both[1:]).sample
        hook = self.unet.mid_block.register_forward_hook(self.perturb)
        worse = self.unet(x, time, self.both[1:]).sample
        hook.remove()
        return plain + 2 * (plain - worse)

    def perturb(self, module, args, output):
        self.perturbed = getattr(self, "perturbed", 0) + 1
        return output * 0.5


@pytest.mark.filterwarnings("ignore:every step is full")
def test_a_hook_for_one_of_the_calls_of_a_step_runs_at_every_step():
    pipe = tiny.small(Perturbed)
    wanted = tiny.sample(pipe)
    pipe.perturbed = 0
    session = accelerate(pipe, interval=3)
    assert torch.equal(tiny.sample(pipe), wanted)
    assert pipe.perturbed == tiny.STEPS
    assert "every_step_full" in [note.kind for note in session.report().notes]


def test_methods_of_libraries_on_a_pipeline_are_not_somebodys_own():
    pipe = tiny.small()
    pipe.progress_bar = types.MethodType(type(pipe).progress_bar, pipe)
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe)
    assert not session.denoisers["unet"].run.step.clock.own_code


def pass_all(images, **more):
    return images, [False] * len(images)


def test_what_stands_in_the_place_of_no_method_is_not_somebodys_own_code():
    pipe = tiny.small()
    pipe.safety_checker = pass_all
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe)
    assert not session.denoisers["unet"].run.step.clock.own_code


def test_a_hook_that_only_computes_may_say_so():
    def timed(module, args, output):
        pass

    timed.computes_only = True
    pipe = tiny.small()
    pipe.unet.register_forward_hook(timed)
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe)
    assert not session.denoisers["unet"].run.step.clock.own_code


class Passing(StableDiffusionPipeline):
    """Calls the method that it derives from, whose variables tell of the callback."""

    def __call__(self, *args, **kwargs):
        return super().__call__(*args, **kwargs)


def test_a_subclass_that_passes_its_call_on_has_the_callback_of_its_call():
    given = {
        "callback_on_step_end": lambda pipe, step, timestep, tensors: tensors,
        "callback_on_step_end_tensor_inputs": ["prompt_embeds"],
    }
    ran = []
    for kind in (StableDiffusionPipeline, Passing):
        pipe = tiny.small(kind)
        session = accelerate(pipe, interval=3)
        tiny.sample(pipe, **given)
        ran.append((tiny.steps_of(session), [note.kind for note in session.report().notes]))
    assert ran[0] == ran[1]
    assert "paired_steps" in ran[1][1]


def put_back(pipe, inner):
    pipe.unet.forward = type(pipe.unet).forward.__get__(pipe.unet)


def taken_off(pipe, inner):
    del pipe.unet.forward


def around_the_one_of_before(pipe, inner):
    pipe.unet.forward = lambda *args, **kwargs: inner(*args, **kwargs)


@pytest.mark.parametrize("put", [put_back, taken_off, around_the_one_of_before], ids=lambda put: put.__name__)
def test_a_forward_that_goes_past_the_cache_is_said_to_run_in_full(put, recwarn):
    pipe = tiny.small()
    inner = pipe.unet.forward
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe)
    put(pipe, inner)
    assert torch.equal(tiny.sample(pipe), tiny.plain())
    tiny.sample(pipe)
    assert [one.category for one in recwarn] == [MmcacheWarning]
    report = session.report()
    assert [note.kind for note in report.notes] == ["runs_in_full"]
    assert not report.denoisers[0].steps
    session.restore()
    vars(pipe.unet).pop("forward", None)
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe)
    assert tiny.steps_of(session) == "F00F00F00F"
    assert not session.report().notes


def test_a_run_that_passes_unchanged_is_not_said_to_go_past_the_cache(recwarn):
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    session.enabled = False
    tiny.sample(pipe)
    assert [note.kind for note in session.report().notes] == ["disabled"]
    assert not recwarn.list


def test_a_loop_whose_first_steps_are_those_of_another_model_is_reported_whole(recwarn):
    base, refiner, scheduler = tiny.small_unet(), tiny.small_unet(), tiny.ddim()
    session = accelerate(refiner, interval=3, scheduler=scheduler)
    text = tiny.embeddings()["prompt_embeds"]
    scheduler.set_timesteps(15)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for number, time in enumerate(scheduler.timesteps):
            unet = base if number < 5 else refiner
            x = scheduler.step(unet(x, time, encoder_hidden_states=text).sample, time, x).prev_sample
    assert tiny.steps_of(session).count("0") > 4
    assert "runs_in_full" not in [note.kind for note in session.report().notes]


def test_another_pipeline_with_the_same_scheduler_does_not_go_past_the_cache(recwarn):
    pipe, other = tiny.small(), tiny.small()
    other.scheduler = pipe.scheduler
    session = accelerate(pipe, interval=3)
    tiny.sample(other)
    assert not session.report().notes
    assert not recwarn.list


def test_a_loop_whose_steps_run_in_other_threads_is_told_that_nothing_is_kept_for_it():
    unet, scheduler = tiny.small_unet(), tiny.ddim()
    session = accelerate(unet, interval=3, scheduler=scheduler)
    text = tiny.embeddings()["prompt_embeds"]

    def images():
        scheduler.set_timesteps(10)
        x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
        for time in scheduler.timesteps:
            with torch.no_grad():
                x = scheduler.step(unet(x, time, encoder_hidden_states=text).sample, time, x).prev_sample
            yield x

    def run(in_threads):
        made, found = images(), []
        for _ in range(10):
            if in_threads:
                thread = threading.Thread(target=lambda: found.append(next(made)))
                thread.start()
                thread.join()
            else:
                found.append(next(made))
        return found[-1]

    together = run(in_threads=True)
    assert [note.kind for note in session.report().notes] == ["runs_in_full"]
    run(in_threads=False)
    assert tiny.steps_of(session) == "F00F00F00F"
    session.restore()
    assert torch.equal(together, run(in_threads=False))


def test_a_pipeline_has_its_own_scheduler():
    pipe = tiny.small()
    with pytest.raises(TypeError):
        accelerate(pipe, interval=3, scheduler=tiny.ddim())
    accelerate(pipe, interval=3, scheduler=pipe.scheduler).restore()
