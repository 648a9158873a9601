"""What a service does: a pipeline for each request, one session for all, reports handed on, sums."""

import copy
import gc
import json
import logging
import sys
import threading
import time
import warnings
import weakref
from importlib.metadata import version

import pytest
import torch
from diffusers import HeunDiscreteScheduler, StableDiffusionImg2ImgPipeline

import mmcache
from mmcache import Plan, StepMask, Uniform, accelerate, restore
from mmcache.api.session import session_of
from mmcache.clocks import pipeline_clock
from mmcache.clocks.pipeline_clock import calling_pipelines
from mmcache.patching.forward_patch import forward_patches
from mmcache.patching.plain_model import plain_model
from mmcache.testing.live_model_laws import in_threads
from mmcache.tools.quality.confidence import mean_of
from mmcache.tools.tuning.tune import Tuned
from tests import tiny
from tests.zoo import controlnet

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little")


def made_from(pipe, cls=None):
    """A pipeline of the same models for one request, as diffusers makes it."""
    other = (cls or type(pipe)).from_pipe(pipe, scheduler=copy.deepcopy(pipe.scheduler))
    other.set_progress_bar_config(disable=True)
    return other


def image_to_image(pipe, **changes):
    picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(5))
    return tiny.sample(pipe, image=picture, strength=0.8, **changes)


def own_result(make, sample, **plan):
    """The result of a pipeline with a session of its own."""
    pipe = make()
    accelerate(pipe, **plan)
    return sample(pipe)


# A shared session


@pytest.mark.parametrize(
    ("cls", "sample"), [(None, tiny.sample), (StableDiffusionImg2ImgPipeline, image_to_image)]
)
def test_a_shared_session_gives_what_a_session_of_its_own_gives(cls, sample):
    wanted = own_result(lambda: made_from(tiny.small(), cls), sample, interval=3)
    base = tiny.small()
    session = accelerate(base, interval=3, shared=True)
    mine = made_from(base, cls)
    assert torch.equal(sample(mine), wanted)
    assert torch.equal(sample(mine), wanted)
    assert session.report().cached_steps
    assert session_of(mine).plan == session.plan


def test_a_shared_session_follows_samplers_with_two_steps_for_each_sigma():
    heun = HeunDiscreteScheduler.from_config(tiny.ddim().config)
    wanted = own_result(lambda: tiny.small(scheduler=copy.deepcopy(heun)), tiny.sample, interval=3)
    base = tiny.small(scheduler=heun)
    accelerate(base, interval=3, shared=True)
    assert torch.equal(tiny.sample(made_from(base)), wanted)


def test_a_shared_session_serves_a_controlnet_of_its_pipeline():
    def sample(pipe):
        return controlnet.sample(pipe, True)

    wanted = own_result(controlnet.one, sample, interval=3)
    base = controlnet.one()
    accelerate(base, interval=3, shared=True)
    mine = made_from(base)
    assert torch.equal(sample(mine), wanted)
    steps = session_of(mine).report()
    assert steps.side_networks[0].steps[0].ran
    assert steps.cache_misses == 0


def test_a_shared_session_in_threads_is_that_of_each_pipeline_alone():
    wanted = own_result(tiny.small, tiny.sample, interval=3)
    others = own_result(
        lambda: made_from(tiny.small(), StableDiffusionImg2ImgPipeline), image_to_image, interval=3
    )
    plain = tiny.sample(tiny.small())
    base = tiny.small()
    session = accelerate(base, interval=3, shared=True)
    reports = []
    session.on_run(reports.append)

    def request(cls, sample):
        mine = made_from(base, cls)
        return sample(mine)

    def request_without():
        mine = made_from(base)
        accelerate(mine, interval=1)
        return tiny.sample(mine)

    works = [
        lambda: request(None, tiny.sample),
        lambda: request(StableDiffusionImg2ImgPipeline, image_to_image),
    ]
    results = in_threads([*works, *works, request_without])
    for result, expected in zip(results, [wanted, others, wanted, others, plain], strict=True):
        assert torch.equal(result, expected)
    assert len(reports) == session.totals().runs == 4  # whoever has a session of its own tells that one


def test_a_shared_session_is_paused_and_restored_for_all():
    plain = tiny.sample(tiny.small())
    base = tiny.small()
    session = accelerate(base, interval=3, shared=True)
    early, late = made_from(base), made_from(base)
    cached = tiny.sample(early)
    session.enabled = False
    assert torch.equal(tiny.sample(early), plain)
    assert torch.equal(tiny.sample(late), plain)  # it had not sampled before
    session.enabled = True
    assert torch.equal(tiny.sample(late), cached)
    session.restore()
    for pipe in (base, early, late):
        assert torch.equal(tiny.sample(pipe), plain)
    assert not forward_patches(base.unet)


def test_a_pipeline_of_a_shared_session_is_freed_with_what_served_it():
    base = tiny.small()
    session = accelerate(base, interval=3, shared=True)
    gc.collect()
    gc.disable()
    try:
        mine = made_from(base)
        tiny.sample(mine)
        gone, served = weakref.ref(mine), weakref.ref(session_of(mine))
        del mine
        assert gone() is None
        assert served() is None
    finally:
        gc.enable()
    assert len(forward_patches(base.unet)) == 1
    assert "is gone" in str(session.report())
    assert session.totals().runs == 1


def test_a_pipeline_may_be_dropped_while_another_one_samples(monkeypatch):
    wanted = own_result(tiny.small, tiny.sample, interval=3)
    base = tiny.small()
    mine, others = made_from(base), [made_from(base)]
    accelerate(others[0], interval=5)
    accelerate(mine, interval=3)
    gone = weakref.ref(others[0])

    def calling_pipelines_when_another_thread_has_dropped_it():
        others.clear()
        return calling_pipelines()

    monkeypatch.setattr(
        pipeline_clock, "calling_pipelines", calling_pipelines_when_another_thread_has_dropped_it
    )
    assert torch.equal(tiny.sample(mine), wanted)
    assert gone() is None


def test_what_cannot_be_shared_is_refused():
    with pytest.raises(TypeError, match="shared"):
        accelerate(tiny.small_unet(), interval=3, shared=True)


def test_a_pipeline_that_the_plan_does_not_fit_is_told_that_it_runs_in_full(monkeypatch):
    class OneStep(StableDiffusionImg2ImgPipeline):
        def __call__(self, *args, num_inference_steps=1, **kwargs):
            return super().__call__(*args, num_inference_steps=num_inference_steps, **kwargs)

    base = tiny.small()
    session = accelerate(base, shared=True)
    mine = made_from(base, OneStep)
    with pytest.warns(UserWarning, match="run in full") as caught:
        image_to_image(mine)
    assert caught[0].filename == __file__
    assert any(note.kind == "runs_in_full" for note in session.report().notes)


# A session for each request


def test_a_session_for_each_request_costs_little_once_the_model_is_known():
    """A tenth of what it was when every module was looked at again; the figure is in docs/serving.md."""
    base = tiny.small()
    keep = accelerate(base)
    assert keep.active
    pipes = [copy.copy(base) for _ in range(21)]
    for pipe in pipes:
        pipe.scheduler = copy.deepcopy(base.scheduler)
    looked = []
    walk = torch.nn.Module.named_modules

    def named_modules(self, *args, **kwargs):
        looked.append(self)
        return walk(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        accelerate(pipes.pop())
        patch.setattr(torch.nn.Module, "named_modules", named_modules)
        for pipe in pipes:
            accelerate(pipe)
    assert not looked


def test_what_is_known_of_a_model_is_forgotten_when_it_changes():
    unet = tiny.small_unet()
    known = plain_model(unet)
    assert plain_model(unet) is known
    unet.mid_block.resnets[0] = copy.deepcopy(unet.mid_block.resnets[0])
    fresh = plain_model(unet)
    assert fresh is not known
    unet.mid_block.forward = unet.mid_block.forward
    assert plain_model(unet) is None
    gone = weakref.ref(unet)
    del unet
    gc.collect()
    assert gone() is None


def test_sessions_made_and_dropped_in_threads_leave_nothing_on_the_model():
    base = tiny.small()
    pipes = [[copy.copy(base) for _ in range(15)] for _ in range(4)]
    for pipe in (pipe for some in pipes for pipe in some):
        pipe.scheduler = copy.deepcopy(base.scheduler)

    def work(some):
        for pipe in some:
            accelerate(pipe, interval=2)
            assert any(patch.owner is session_of(pipe) for patch in forward_patches(base.unet))
        for pipe in some:
            restore(pipe)

    in_threads([lambda some=some: work(some) for some in pipes])
    assert "forward" not in vars(base.unet)


def test_another_pipeline_runs_in_full_and_is_told_so_once():
    base = tiny.small()
    session = accelerate(base, interval=3)
    mine = made_from(base)
    with pytest.warns(UserWarning, match="accelerate that pipeline too") as caught:
        tiny.sample(mine)
    assert [warning.filename for warning in caught] == [tiny.__file__]  # the line that called the pipeline
    assert any(note.kind == "runs_in_full" for note in session.report().notes)
    accelerate(mine, interval=3)
    fresh = accelerate(base, interval=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tiny.sample(mine)
    assert not any(note.kind == "runs_in_full" for note in fresh.report().notes)


# Reports handed on, and sums


def test_on_run_hands_each_run_in_the_thread_that_samples():
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    seen = []
    off = session.on_run(lambda report: seen.append((report, threading.get_ident())))
    tiny.sample(pipe)
    tiny.sample(pipe, num_inference_steps=9)
    assert [len(report.denoisers[0].steps) for report, _ in seen] == [10, 9]
    assert seen[0][1] == threading.get_ident()
    assert seen[1][0].summary() == session.report().summary()
    off()
    tiny.sample(pipe)
    assert len(seen) == 2
    assert session.totals().runs == 3


def test_what_a_callback_raises_does_not_reach_the_image(caplog):
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    wanted = tiny.sample(pipe)

    def broken(report):
        raise RuntimeError("no disk")

    session.on_run(broken)
    with pytest.warns(UserWarning, match="broken has raised RuntimeError"):
        assert torch.equal(tiny.sample(pipe), wanted)
    with caplog.at_level(logging.DEBUG, "mmcache"):
        assert torch.equal(tiny.sample(pipe), wanted)
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}
    assert any("4 full and 6 cached" in record.getMessage() for record in caplog.records)


def test_totals_are_the_sums_of_the_reports():
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    reports = []
    session.on_run(reports.append)
    tiny.sample(pipe)
    tiny.sample(pipe, batch=2)
    totals = session.totals()
    for name in ("full_steps", "cached_steps", "cache_misses", "macs", "full_macs"):
        assert getattr(totals, name) == sum(getattr(report, name) for report in reports), name
    assert totals.seconds == pytest.approx(sum(report.seconds for report in reports))
    assert totals.bytes_held == reports[1].bytes_held
    assert totals.macs_saved == totals.full_macs - totals.macs > 0
    assert json.loads(json.dumps(totals.as_dict()))["runs"] == 2


def test_a_run_that_was_stopped_is_counted_and_not_handed_on():
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    reports = []
    session.on_run(reports.append)

    def stop(pipe, step, timestep, kwargs):
        pipe._interrupt = step == 4
        return kwargs

    tiny.sample(pipe, callback_on_step_end=stop)
    tiny.sample(pipe)
    session.restore()
    assert (session.totals().runs, session.totals().stopped_runs, len(reports)) == (1, 1, 1)
    assert session.totals().full_steps == 2 + 4


def test_totals_of_a_loop_whose_length_nobody_tells():
    unet, scheduler = tiny.small_unet(), tiny.ddim()
    session = accelerate(unet, interval=3)
    reports = []
    session.on_run(reports.append)
    text = tiny.embeddings()["prompt_embeds"]
    scheduler.set_timesteps(6)
    for seed in range(2):
        latent = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            for timestep in scheduler.timesteps:
                latent = scheduler.step(unet(latent, timestep, text).sample, timestep, latent).prev_sample
    session.restore()
    assert [len(report.denoisers[0].steps) for report in reports] == [6, 6]
    assert session.totals().runs == 2


def test_a_report_has_its_sums_on_top_and_holds_nothing():
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe)
    report = session.report()
    found = report.as_dict()
    assert found["schema"] == "mmcache.report/1"
    assert (found["full_steps"], found["cached_steps"]) == (4, 6)
    assert found["speedup"] == report.speedup == report.full_macs / report.macs > 1
    assert "\n" not in report.summary()
    json.dumps(found)
    assert not reachable(report, (torch.Tensor, torch.nn.Module, type(pipe), type(session)))


def reachable(root, kinds):
    """Objects of some kinds that an object holds, however deep."""
    seen, left, found = {id(root)}, [root], []
    while left:
        for one in gc.get_referents(left.pop()):
            if id(one) not in seen and not isinstance(one, type) and type(one).__name__ != "module":
                seen.add(id(one))
                left.append(one)
                found += [one] if isinstance(one, kinds) else []
    return found


def test_a_report_never_tells_of_an_older_run_than_the_last():
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe)
    session.enabled = False
    assert session.report().denoisers[0].steps  # nothing has run since
    tiny.sample(pipe)
    report = session.report()
    assert not report.denoisers[0].steps
    assert any(note.kind == "disabled" for note in report.notes)
    assert session.totals().runs == 1
    session.enabled = True
    tiny.sample(pipe)
    assert len(session.report().denoisers[0].steps) == 10


def test_a_warning_points_at_the_callers_line_and_stands_in_the_report():
    pipe = tiny.small()
    session = accelerate(pipe, Plan(Uniform(2)))
    call = {**tiny.embeddings(), "num_inference_steps": 6, "output_type": "latent"}
    with pytest.warns(UserWarning, match="6 steps leave little to reuse") as caught:
        pipe(**call)
    line = sys._getframe().f_lineno - 1
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)
    assert any(note.kind == "few_steps" for note in session.report().notes)


def test_requests_are_served_at_any_time_of_others(monkeypatch):
    """A service under load: threads make, run and drop pipelines while one is paused now and then."""
    plain = tiny.sample(tiny.small(), num_inference_steps=4)
    cached = own_result(tiny.small, lambda pipe: tiny.sample(pipe, num_inference_steps=4), interval=2)
    base = tiny.small()
    session = accelerate(base, interval=2, shared=True)

    def requests():
        return [tiny.sample(made_from(base), num_inference_steps=4) for _ in range(3)]

    def switch():
        for value in (False, True):
            time.sleep(0.02)
            session.enabled = value
        return []

    for result in (image for some in in_threads([requests, requests, requests, switch]) for image in some):
        near_plain = (result - plain).norm() <= 2 * (cached - plain).norm()
        assert torch.equal(result, plain) or torch.equal(result, cached) or near_plain  # switched midway


# In words, and in a notebook


def test_a_plan_without_a_forecast_takes_the_one_that_the_short_form_takes():
    for make in (tiny.small, lambda: tiny.small(scheduler=None), tiny.ddpm):
        short = accelerate(make(), interval=3).plan
        assert accelerate(make(), Plan(Uniform(3))).plan == short
    assert (
        accelerate(tiny.small_unet(), Plan(Uniform(3))).plan == accelerate(tiny.small_unet(), interval=3).plan
    )


def test_what_is_returned_is_one_readable_line():
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe)
    for one in (session, session.plan, session.report(), session.report().denoisers[0], Plan(Uniform(3))):
        assert "\n" not in repr(one)
        assert len(repr(one)) < 200
    assert repr(session.plan) == "Plan(Uniform(interval=3), Taylor(order=1, checked=True), branch=0)"


def test_what_a_notebook_shows_is_whole_and_escaped():
    pipe = tiny.small()
    session = accelerate(pipe, Plan(Uniform(3), evidence="<b>none</b>"))
    assert "No run yet" in session._repr_html_()
    tiny.sample(pipe)
    page = session._repr_html_()
    assert page.count("<i title=") == 10
    assert "10 steps: 4 full, 6 cached at branch 0" in page
    shown = session.plan._repr_html_()
    assert shown.count("<i title=") == 50
    assert "&lt;b&gt;none" in shown
    assert "<b>none" not in shown


def test_the_version_is_that_of_the_distribution():
    assert mmcache.__version__ == version("mmcache")


def test_a_tuned_plan_shows_itself():
    found = mean_of([40.0, 42.0])
    tuned = Tuned(Plan(StepMask([0, 3, 6])), 2.5, found, found, {"Hold()": mean_of([30.0, 31.0])}, runs=9)
    assert "2.50x fewer denoiser MACs" in repr(tuned)
    assert "41.0 dB" in repr(tuned)
    assert "\n" not in repr(tuned)
    assert "30.5 dB" in tuned._repr_html_()
