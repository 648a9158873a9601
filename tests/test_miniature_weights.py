"""The miniatures load with all their weights, or not at all, and generate the same with every version."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mmcache_demos import SHIPPED, TEXT_ENCODER, WHOLE, load_miniature, miniature_folder
from mmcache_demos.portraits.models import suit_every_transformers

PARTS = [
    pytest.param(part, miniature_folder(name), id=f"{name}-{role}")
    for name, shipped in SHIPPED.items()
    for role, part in ({"text_encoder": TEXT_ENCODER} if name == WHOLE else shipped.parts).items()
]
PROMPT = "a person with a hat on a blue background"
# The mean color of each quarter of the image of seed 0, with transformers 5.24.0 and diffusers 0.42.1.
SEEN = {
    "text-to-image": [[[102, 120, 178], [101, 119, 178]], [[105, 171, 167], [105, 171, 168]]],
    "transformer": [[[172, 171, 153], [169, 168, 153]], [[107, 171, 156], [107, 170, 156]]],
}


def copied(part, folder, tmp_path):
    """A copy of a part's folder, that may be written, and its file of weights."""
    copy = tmp_path / part.subfolder
    shutil.copytree(folder / part.subfolder, copy, dirs_exist_ok=True)
    (file,) = copy.glob("*.safetensors")
    return copy, file


def renamed(file, rename):
    save_file(
        {rename(name): weight for name, weight in load_file(file).items()}, file, metadata={"format": "pt"}
    )


@pytest.mark.parametrize(("part", "folder"), PARTS)
def test_a_part_whose_weights_are_not_found_is_refused(part, folder, tmp_path):
    _, file = copied(part, folder, tmp_path)
    assert part.load(tmp_path) is not None
    renamed(file, lambda name: f"unknown.{name}")
    with pytest.raises((RuntimeError, ValueError)):  # diffusers refuses some itself
        part.load(tmp_path)


def test_a_pipeline_is_refused_with_its_text_encoder(tmp_path, monkeypatch):
    whole = tmp_path / WHOLE
    shutil.copytree(miniature_folder(WHOLE), whole)
    renamed(whole / "text_encoder" / "model.safetensors", lambda name: f"unknown.{name}")
    monkeypatch.setattr("mmcache_demos.MINIATURES", tmp_path)
    with pytest.raises(RuntimeError):
        load_miniature()


def test_a_saved_clip_has_the_names_that_every_transformers_reads(tmp_path):
    copy, file = copied(TEXT_ENCODER, miniature_folder(WHOLE), tmp_path)
    shipped = load_file(file)
    renamed(file, lambda name: name.removeprefix("text_model."))  # as transformers 5 saves it
    suit_every_transformers(copy)
    assert load_file(file).keys() == shipped.keys()
    suit_every_transformers(copy)  # and it does no harm twice
    assert load_file(file).keys() == shipped.keys()
    assert all(name.startswith("text_model.") for name in shipped)


@pytest.mark.parametrize("name", SEEN)
def test_the_image_is_the_same_in_every_version(name):
    pipe = load_miniature(name)
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    call = {"num_inference_steps": 8, "guidance_scale": 3.0, **SHIPPED[name].call}
    image = np.asarray(pipe(PROMPT, generator=generator, **call).images[0], dtype=float)
    np.testing.assert_allclose(image.reshape(2, 64, 2, 64, 3).mean((1, 3)), SEEN[name], atol=1.5)
