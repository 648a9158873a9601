"""Revisions and variants of a model on the hub; a folder laid out as the hub's cache stands in for it."""

import json

import huggingface_hub.constants
import pytest
from typer.testing import CliRunner

import mmcache
from mmcache.cli import app
from tests import tiny, tiny_loads
from tests.tiny_prompted import SMALL, prompted, with_words

MAIN, OTHER = "a" * 40, "b" * 40
DEEP = 4  # a branch that only the second has
SHORT = {"steps": 4, "guidance_scale": 3.0, "progress": False}

pytestmark = pytest.mark.usefixtures("elsewhere", "hub")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache with two states of a model; the one that is no default has more layers, and a variant."""
    place = tmp_path_factory.mktemp("hub")
    model = place / "models--owner--name"
    prompted().save_pretrained(model / "snapshots" / MAIN)
    deeper = with_words(tiny.stable_diffusion(**{**SMALL, "layers_per_block": 2}))
    deeper.save_pretrained(model / "snapshots" / OTHER, variant="fp16")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(MAIN)
    (model / "refs" / "v2").write_text(OTHER)
    return place


@pytest.fixture
def hub(cache, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def revisions(out):
    found = (json.loads(path.read_text()) for path in out.glob("*.json"))
    return {one["revision"] for one in found if "revision" in one and "prompt" in one}


def test_a_revision_and_variant_are_loaded_and_told(elsewhere):
    plain = mmcache.generate(["a"], "plain", load="owner/name", **SHORT)
    other = mmcache.generate(["a"], "other", load="owner/name", revision="v2", variant="fp16", **SHORT)
    assert (revisions(plain.out), revisions(other.out)) == ({MAIN}, {OTHER})
    (first,), (second,) = ([path.read_bytes() for path in one.out.glob("*.png")] for one in (plain, other))
    assert first != second
    with pytest.raises(ValueError, match="other settings"):
        mmcache.generate(["a"], "plain", load="owner/name", revision="v2", variant="fp16", **SHORT)


def test_the_command_tells_the_revision_that_it_loaded(elsewhere):
    (elsewhere / "p.txt").write_text("a\n")
    options = ["--model", "owner/name", "--revision", "v2", "--variant", "fp16", "--steps", "2"]
    done = CliRunner().invoke(app, ["generate", "--prompts", "p.txt", "--out", "out", *options])
    assert done.exit_code == 0, done.output
    assert revisions(elsewhere / "out") == {OTHER}


def test_the_plan_is_checked_against_the_configs_of_the_revision():
    for named in ({}, {"revision": MAIN}):
        with pytest.raises(ValueError, match="branch"):
            mmcache.generate(["a"], "out", load="owner/name", branch=DEEP, **named, **SHORT)
        with pytest.raises(ValueError, match="branch"):
            mmcache.generate(
                ["a"], "out", load=tiny_loads.missing, model="owner/name", branch=DEEP, **named, **SHORT
            )
    with pytest.raises(ValueError, match="there is no such model"):  # the check has passed
        mmcache.generate(
            ["a"], "out", load=tiny_loads.missing, model="owner/name", revision="v2", branch=DEEP, **SHORT
        )


@pytest.mark.parametrize("named", [{"variant": "fp16"}, {"revision": "v2"}])
def test_a_function_chooses_for_itself(named, elsewhere):
    with pytest.raises(ValueError, match="from_pretrained"):
        mmcache.generate(["a"], "out", load=tiny_loads.load, **named, **SHORT)
    assert not (elsewhere / "out").exists()
