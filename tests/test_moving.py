"""The page on moving from other caches: its code runs, and what it calls the same is the same."""

from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import mmcache
from tests import code_blocks, tiny_prompted
from tests.test_recipes import flux_in_words

BLOCKS = code_blocks.blocks("moving.md")
DEEPCACHE, HOOKS, CACHE_DIT, TEACACHE, COMFYUI = BLOCKS
STEPS = {"num_inference_steps": 20, "height": 16, "width": 16}  # as the page has it; masks are that long


def image_of(code: str, pipe: Any) -> np.ndarray:
    """What a block generates with a pipeline."""
    return np.asarray(code_blocks.run(code, STEPS, {"pipe": pipe, "torch": torch})["image"])


def small_flux(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Flux in words, which generates images of 16 x 16 unless told otherwise."""
    pipe = flux_in_words()
    pipe.default_sample_size = 8
    return pipe


def full(pipe: Any) -> np.ndarray:
    """The full run of the same call."""
    call = {"num_inference_steps": 20, "generator": torch.manual_seed(0)}
    return np.asarray(pipe("a lighthouse", **call).images[0])


def test_deepcache_gives_the_same_image():
    pytest.importorskip("DeepCache")
    theirs, ours = BLOCKS[DEEPCACHE]
    first, second = (image_of(code, tiny_prompted.prompted()) for code in (theirs, ours))
    np.testing.assert_array_equal(first, second)
    assert np.any(first != full(tiny_prompted.prompted()))


def test_cache_dit_gives_the_same_image(monkeypatch):
    monkeypatch.setenv("CACHE_DIT_LOG_LEVEL", "error")
    pytest.importorskip("cache_dit")
    theirs, ours = BLOCKS[CACHE_DIT]
    second = image_of(ours, small_flux(monkeypatch))
    first = image_of(theirs, small_flux(monkeypatch))
    np.testing.assert_array_equal(first, second)
    assert np.any(first != full(small_flux(monkeypatch)))


@pytest.mark.parametrize("name", [HOOKS, TEACACHE])
def test_other_caches_run_and_are_taken_off(name, monkeypatch):
    pipe = small_flux(monkeypatch)
    before = full(pipe)
    for code in BLOCKS[name]:
        image_of(code, pipe)
        np.testing.assert_array_equal(full(pipe), before)


def test_two_caches_are_refused(monkeypatch):
    pipe = small_flux(monkeypatch)
    pipe.transformer.enable_cache(diffusers.FirstBlockCacheConfig(threshold=0.05))
    with pytest.raises(mmcache.UnsupportedPipelineError):
        mmcache.accelerate(pipe)


def test_comfyui_checkpoint(monkeypatch, tmp_path):
    def from_single_file(cls: Any, *_: Any, **__: Any) -> Any:
        return tiny_prompted.prompted()

    monkeypatch.setattr(diffusers.StableDiffusionPipeline, "from_single_file", classmethod(from_single_file))
    monkeypatch.chdir(tmp_path)
    (code,) = BLOCKS[COMFYUI]
    code_blocks.run(code)
    assert (tmp_path / "lighthouse.png").exists()
