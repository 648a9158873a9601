"""What mmcache warns with: a class of its own, so that a filter can name it."""

import ast
import warnings
from pathlib import Path

import pytest

import mmcache
from tests import tiny

PACKAGE = Path(mmcache.__file__).parent
FEW = {"num_inference_steps": 4}  # of which mmcache warns


def test_a_filter_silences_mmcache_and_nothing_else():
    pipe = tiny.stable_diffusion()
    with mmcache.accelerate(pipe, interval=2) as session, warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=mmcache.MmcacheWarning)
        tiny.sample(pipe, **FEW)
        assert any(note.kind == "few_steps" for note in session.report().notes)
        with pytest.raises(UserWarning, match="somebody else's"):
            warnings.warn("somebody else's", stacklevel=1)


def test_a_filter_can_raise_it():
    pipe = tiny.stable_diffusion()
    with mmcache.accelerate(pipe, interval=2), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", category=mmcache.MmcacheWarning)
        with pytest.raises(mmcache.MmcacheWarning):
            tiny.sample(pipe, **FEW)


def test_all_of_mmcache_warns_by_one_function():
    warns = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn"
    ]
    assert warns == ["caller.py"]
