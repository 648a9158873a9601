"""The measurements on small transformers: what they count, and how they set the other caches."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import typer
from diffusers import FluxPipeline
from PIL import Image

import mmcache
from mmcache_demos.transformers import against_caches, caches_plot, intervals_and_branches
from mmcache_demos.transformers.bench import THRESHOLDS, Bench, bisected, nearest
from mmcache_demos.transformers.easy_cache import EasyCache
from mmcache_demos.transformers.left_out import CallWatch, Price
from mmcache_demos.transformers.methods import METHODS, around, taylorseer_full_steps
from mmcache_demos.transformers.overhead import PairTimer, without
from mmcache_demos.transformers.subjects import FLUX, SUBJECTS_BY_NAME, Subject
from tests.zoo.transformers import flux

STEPS = 9
BY_NAME = {method.name: method for method in METHODS}

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little")


def tiny() -> Subject:
    return replace(
        FLUX,
        name="tiny",
        make=lambda: flux.build(FluxPipeline),
        call=lambda: {
            "prompt_embeds": torch.ones(1, 4, flux.EMBEDDING),
            "pooled_prompt_embeds": torch.ones(1, flux.POOLED),
            "height": 32,
            "width": 32,
            "generator": torch.Generator().manual_seed(0),
        },
        steps=STEPS,
    )


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(tiny())


def test_the_layers_that_ran_take_what_the_report_says(bench):
    pipe = bench.pipe()
    with mmcache.accelerate(pipe, interval=3) as session, CallWatch(pipe.transformer)() as watch:
        bench.subject.draw(pipe)
        report = session.report()
    assert sum(map(bench.price.macs, watch.calls)) == report.macs
    assert bench.full_macs == report.full_macs
    assert [bool(left_out) for left_out in watch.calls] == [bool(step % 3) for step in range(STEPS)]


def test_what_is_left_out_is_named_by_its_outermost_module():
    model = torch.nn.Sequential(
        torch.nn.ModuleDict({"a": torch.nn.Linear(2, 3), "b": torch.nn.Linear(2, 5)}), torch.nn.Linear(3, 3)
    )
    model.forward = lambda x: model[1](model[0]["a"](x))
    watch = CallWatch(model)
    with watch():
        model(torch.ones(1, 2))
        model.forward = lambda x: x
        model(torch.ones(1, 2))
    assert watch.calls == [{"0.b"}, {""}]
    assert not any(module._forward_hooks for module in model.modules())


def test_a_price_is_that_of_the_layers(bench):
    assert bench.price.macs(frozenset()) == bench.price.full
    assert bench.price.macs(frozenset({""})) == 0
    one = Price(torch.nn.Linear(4, 8), {"input": torch.ones(2, 4)})
    assert one.full == 2 * 4 * 8


def test_a_threshold_is_searched_between_those_of_a_grid():
    tried = []

    def macs(threshold):
        tried.append(threshold)
        known.setdefault(threshold, None)
        return int(1000 / (1 + 10 * threshold))

    known = {}
    found = bisected(macs, 400, known)
    assert abs(macs(found) - 400) < 20
    assert set(THRESHOLDS) <= set(tried)


@pytest.mark.parametrize("setting", [(3, 1), (2, 4), (5, 2)])
def test_taylorseers_full_steps_are_those_of_its_hook(bench, setting):
    ran = bench.run(BY_NAME["diffusers TaylorSeer"], setting)
    full = sum(1 for left_out in ran.calls if not left_out)
    assert full == taylorseer_full_steps(setting, STEPS)


@pytest.mark.parametrize("way", ["diffusers MagCache", "EasyCache, by its equations"])
def test_a_threshold_of_nothing_saves_nothing(bench, way):
    closest, cheaper = (bench.run(BY_NAME[way], threshold) for threshold in (0.0, 0.3))
    assert bench.error(closest) == 0
    assert bench.macs(closest) == bench.full_macs
    assert bench.error(cheaper) > 0
    assert bench.macs(cheaper) < bench.full_macs


def test_attention_broadcast_leaves_out_attention(bench):
    ran = bench.run(BY_NAME["diffusers Pyramid Attention Broadcast"], 3)
    assert [bool(left_out) for left_out in ran.calls] == [bool(step % 3) for step in range(STEPS)]
    assert all(".attn" in name for left_out in ran.calls for name in left_out)


def test_easy_cache_holds_what_was_added_to_the_input():
    calls = []

    def forward(given, **prompt):
        calls.append(given)
        return (2 * given + 1,)

    cache = EasyCache(forward, threshold=0.5)
    words = torch.zeros(1)
    given = [torch.full((1, 2), value) for value in (1.0, 2.0, 2.1, 9.0)]
    returned = [cache(one, encoder_hidden_states=words)[0] for one in given]
    assert [float(one[0, 0]) for one in calls] == [1.0, 2.0, 9.0]
    # The output moves by 2 for 1 of the input: by 0.2 of 5 is near, by 13.8 of 5.1 is not.
    assert torch.equal(returned[2], given[2] + 3)
    assert torch.equal(returned[3], 2 * given[3] + 1)


def test_of_many_settings_the_nearest_price_is_taken(bench):
    method = BY_NAME["diffusers TaylorSeer, lite"]
    wanted = bench.full_macs // 2
    setting = nearest(bench, method, 2, wanted, {})
    off = abs(bench.macs(bench.run(method, setting)) - wanted)
    assert setting in around(2, STEPS)
    assert off <= bench.price.full


def test_bytes_are_those_that_the_cache_keeps(bench):
    held = bench.run(BY_NAME["mmcache, Hold"], 3).held
    pipe = bench.pipe()
    with mmcache.accelerate(pipe, mmcache.Plan(mmcache.Uniform(3), mmcache.Hold())) as session:
        bench.subject.draw(pipe)
        told = session.report().denoisers[0].bytes_held
    first_block = bench.run(BY_NAME["diffusers FirstBlockCache"], 0.1).held
    assert told <= held <= 1.2 * told
    assert first_block > 0


def test_a_model_without_modules_hands_out_what_they_returned():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 3))
    given = {"input": torch.ones(1, 2)}
    returned = model(**given)
    for left_out in ("0", ""):
        bare = without(model, frozenset({left_out}), given)
        assert torch.equal(bare(torch.zeros(1, 2)), returned)


def test_pairs_are_timed_at_the_calls_that_are_asked_for():
    model, layers = torch.nn.Linear(2, 2), torch.nn.Identity()
    calls = []
    layers.forward = lambda x: calls.append(x)
    timer = PairTimer(layers, [False, True, True])
    with timer.around(model):
        for number in range(3):
            model(torch.full((1, 2), float(number)))
    assert len(timer.pairs) == 2
    assert [int(x[0, 0]) for x in calls] == [1, 2]


def test_the_table_has_a_line_for_every_way_and_says_why_one_has_no_figures(bench, monkeypatch, capsys):
    def refuses(subject, pipe, setting):
        raise ImportError("no module of that name")

    kept = [BY_NAME["mmcache, Hold"], replace(BY_NAME["mmcache, Hold"], name="another", enabled=refuses)]
    monkeypatch.setattr(against_caches, "METHODS", kept)
    monkeypatch.setitem(SUBJECTS_BY_NAME, "flux", tiny())
    against_caches.main(repeats=1, intervals=[3], subject=["flux"], out=None)
    said = capsys.readouterr().out
    assert "| tiny | 3 | mmcache, Hold | 3 |" in said
    assert "| tiny | 3 | another | ImportError: no module of that name |" in said


def test_errors_over_intervals_and_branches(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(intervals_and_branches, "SUBJECTS", (tiny(),))
    intervals_and_branches.main(out=tmp_path / "errors.png", intervals=[2, 3])
    said = capsys.readouterr().out
    assert "those of the layers that ran in 12 of 12 runs" in said
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_all_caches_on_one_pipeline(bench):
    """With cache-dit installed, the mask that leaves out the same blocks gives the same result."""
    pytest.importorskip("cache_dit")
    lines = {line.way: line for line in against_caches.compared(bench, [3], 1)}
    assert [way for way, line in lines.items() if line.failed] == ["mmcache, calibrated"]  # it has no prompts
    ours, theirs = lines["mmcache, Hold"], lines["cache-dit, mask"]
    assert theirs.fewer_macs == pytest.approx(ours.fewer_macs)
    assert theirs.error == pytest.approx(ours.error, rel=1e-3)


def line(way, fewer, error, subject="a"):
    return {"subject": subject, "way": way, "fewer_macs": fewer, "error": error, "failed": ""}


def test_the_plot_has_a_line_for_each_cache_that_was_measured(tmp_path):
    drawn = [line("mmcache, Hold", 2.0, 0.1), line("mmcache, Hold", 3.0, 0.2)]
    measured = tmp_path / "caches.json"
    measured.write_text(json.dumps(drawn))
    caches_plot.main(measured, tmp_path / "caches.png")
    image = np.asarray(Image.open(tmp_path / "caches.png").convert("RGB"))
    alone = np.asarray(Image.open(io.BytesIO(caches_plot.plot([]))).convert("RGB"))
    assert image.shape == alone.shape
    assert (image != alone).any()


def test_every_cache_that_is_compared_is_in_the_plot_or_left_out_by_name():
    drawn = {way for series in caches_plot.SERIES for way in series.ways}
    left_out = {method.name for method in METHODS} - drawn
    assert drawn <= set(BY_NAME)
    assert left_out == {
        "mmcache, Taylor(1)",  # cache-dit's mask with TaylorSeer, and the same to the digit
        "cache-dit, mask",  # the same as Hold
        "cache-dit, its own mask, TaylorSeer",  # not at these costs
        "cache-dit, threshold",
        "diffusers Pyramid Attention Broadcast",  # not at these costs
    }


def test_a_plot_is_of_one_pipeline(tmp_path):
    measured = tmp_path / "caches.json"
    measured.write_text(json.dumps([line("mmcache, Hold", 2.0, 0.1), line("mmcache, Hold", 2.0, 0.1, "b")]))
    with pytest.raises(typer.BadParameter):
        caches_plot.main(measured, tmp_path / "caches.png")
    assert not (tmp_path / "caches.png").exists()
