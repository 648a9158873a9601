"""Python calls that nobody should write: one short error before anything is sampled or written."""

import pytest

import mmcache
from mmcache import Plan, StepMask, Uniform
from mmcache_demos import load_miniature, miniature
from tests import tiny_prompted

NAN = float("nan")
THREE = ["a", "b", "c"]
EIGHT = {"steps": 8}
MOST = 300  # characters
REFUSED = (ValueError, TypeError)


@pytest.fixture(scope="module")
def pipe():
    return tiny_prompted.prompted()


CALLS = {
    "compare a number": lambda pipe: mmcache.compare(pipe, 5),
    "compare numbers": lambda pipe: mmcache.compare(pipe, [1, 2]),
    "guidance nan": lambda pipe: mmcache.compare(pipe, "a", steps=3, guidance_scale=NAN),
    "guidance text": lambda pipe: mmcache.compare(pipe, "a", steps=3, guidance_scale="x"),
    "a negative size": lambda pipe: mmcache.compare(pipe, "a", steps=3, height=-8),
    "a size in text": lambda pipe: mmcache.compare(pipe, "a", steps=3, width="64"),
    "an endless number": lambda pipe: mmcache.compare(pipe, "a", steps=3, eta=float("inf")),
    "half a character": lambda pipe: mmcache.compare(pipe, "a \ud800", steps=3),
    "half a word not to show": lambda pipe: mmcache.compare(pipe, "a", steps=3, negative_prompt="\udcff"),
    "tune half a character": lambda pipe: mmcache.tune(pipe, ["a", "b", "\udfff"], speedup=2),
    "generate half a character": lambda pipe: mmcache.generate(["a \ud800"], "out", load=lambda: pipe),
    "generate half a word": lambda pipe: mmcache.generate(
        ["a"], "out", load=lambda: pipe, negative_prompt="\ud800"
    ),
    "generate guidance nan": lambda pipe: mmcache.generate(
        ["a"], "out", load=lambda: pipe, guidance_scale=NAN
    ),
    "accelerate shared": lambda pipe: mmcache.accelerate(pipe, shared="yes"),
    "tune letters": lambda pipe: mmcache.tune(pipe, "a lighthouse", speedup=2),
    "tune numbers": lambda pipe: mmcache.tune(pipe, [1, 2, 3], speedup=2),
    "tune speedup text": lambda pipe: mmcache.tune(pipe, THREE, speedup="2x"),
    "tune psnr text": lambda pipe: mmcache.tune(pipe, THREE, psnr="40"),
    "tune no runs": lambda pipe: mmcache.tune(pipe, THREE, speedup=2, runs=0),
    "tune no batch": lambda pipe: mmcache.tune(pipe, THREE, speedup=2, batch=0),
    "tune no branches": lambda pipe: mmcache.tune(pipe, THREE, speedup=2, branches=[]),
    "tune branch nan": lambda pipe: mmcache.tune(pipe, THREE, speedup=2, branches=[NAN]),
    "calibrate letters": lambda pipe: mmcache.calibrate(pipe, "eight letters", **EIGHT),
    "calibrate nothing": lambda pipe: mmcache.calibrate(pipe, THREE, costs=[], **EIGHT),
    "calibrate one": lambda pipe: mmcache.calibrate(pipe, THREE, costs=2.5, **EIGHT),
    "calibrate text": lambda pipe: mmcache.calibrate(pipe, THREE, costs="2x", **EIGHT),
    "calibrate twice": lambda pipe: mmcache.calibrate(pipe, THREE, costs=[2, 2], **EIGHT),
    "calibrate batch": lambda pipe: mmcache.calibrate(pipe, THREE, batch=-1, **EIGHT),
    "generate a pipe": lambda pipe: mmcache.generate(["a"], "out", load=pipe),
    "generate None": lambda pipe: mmcache.generate(None, "out", load=lambda: pipe),
    "generate nowhere": lambda pipe: mmcache.generate(["a"], "", load=lambda: pipe),
    "generate a part": lambda pipe: mmcache.generate(["a"], "out", load=lambda: pipe, shard=(0, 2)),
    "save a name": lambda pipe: mmcache.save_plan("fast", "plan.yaml"),
    "save nowhere": lambda pipe: mmcache.save_plan(Plan(Uniform(3)), ""),
    "save an image": lambda pipe: mmcache.save_plan(Plan(Uniform(3)), "plan.png"),
    "save a cost": lambda pipe: mmcache.save_plan(Plan(Uniform(3)), "plans.yaml#2x"),
    "save to a folder": lambda pipe: mmcache.save_plan(Plan(Uniform(3)), "."),
    "save below nothing": lambda pipe: mmcache.save_plan(Plan(Uniform(3)), "none/plan.yaml"),
    "save no plans": lambda pipe: mmcache.save_plans({}, "plans.yaml"),
    "save a list": lambda pipe: mmcache.save_plans([Plan(StepMask([0]))], "plans.yaml"),
    "save plans as text": lambda pipe: mmcache.save_plans({"2x": "fast"}, "plans.yaml"),
    "load nothing": lambda pipe: load_miniature(None),
    "load a number": lambda pipe: miniature(3),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_that_cannot_be_is_one_short_error(call, pipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipe.unet, "forward", lambda *args, **kwargs: pytest.fail("it samples"))
    with pytest.raises(REFUSED) as raised:
        call(pipe)
    assert 0 < len(str(raised.value)) <= MOST
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_a_prompt_of_a_list_is_named_by_its_number_and_not_by_a_file(pipe, tmp_path):
    with pytest.raises(ValueError, match="prompt 2") as raised:
        mmcache.generate(["a", ""], tmp_path / "out", load=lambda: pipe)
    assert ".jsonl" not in str(raised.value)
