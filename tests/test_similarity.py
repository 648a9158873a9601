"""How alike deep features are from step to step: what is measured is what the denoiser kept."""

import json

import numpy as np
import pytest
import torch
from diffusers import PNDMScheduler
from PIL import Image
from typer.testing import CliRunner

import mmcache
from mmcache.cli import app
from mmcache.testing.probes import anatomy
from mmcache.tools.inspecting.similarity import Similarity, feature_similarity, spread
from mmcache.tools.inspecting.similarity_drawing import draw_similarity
from tests.tiny_prompted import prompted

STEPS = 6
SAMPLING = {"steps": STEPS, "guidance_scale": 3.0}


@pytest.fixture(scope="module")
def found():
    (one,) = feature_similarity(prompted(), "a cat", branches=[0, 2], **SAMPLING)
    return one


def test_cosines_are_those_of_the_kept_features(found):
    pipe, kept = prompted(), []
    with mmcache.accelerate(pipe, interval=1, branch=2) as session:
        session.denoisers["unet"].on_feature = lambda clock, lane, branch, feature: kept.append(feature[0])
        noise = torch.Generator().manual_seed(0)
        pipe("a cat", num_inference_steps=STEPS, guidance_scale=3.0, generator=noise, output_type="latent")
    features = torch.stack([feature.flatten() for feature in kept])
    unit = features / features.norm(dim=1, keepdim=True)
    assert np.allclose(found.cosines[2], unit @ unit.T, atol=1e-5)
    assert set(found.cosines) == {0, 2}
    assert found.times == [float(time) for time in pipe.scheduler.timesteps]


def test_summaries():
    cosines = np.array([[1, 0.96, 0.5], [0.96, 1, 0.9], [0.5, 0.9, 1]])
    one = Similarity("unet", [3, 2, 1], {0: cosines})
    assert one.neighbours(0) == pytest.approx(0.93)
    assert one.alike(0) == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)


def test_the_pipe_is_what_it_was():
    pipe = prompted()
    pipe("a cat", num_inference_steps=1, output_type="latent")
    before = anatomy(pipe)
    feature_similarity(pipe, "a cat", **SAMPLING)
    pipe("a cat", num_inference_steps=1, output_type="latent")
    assert anatomy(pipe) == before


def test_a_sampler_that_runs_more_steps_than_it_is_asked_for():
    pipe = prompted()
    pipe.scheduler = PNDMScheduler.from_config(pipe.scheduler.config, skip_prk_steps=True)
    (one,) = feature_similarity(pipe, "a cat", **SAMPLING)
    assert one.cosines[0].shape == (STEPS + 1, STEPS + 1)  # PLMS calls the denoiser once more


def test_branches_are_spread():
    assert spread(9) == [0, 3, 5, 8]
    assert spread(2) == [0, 1]
    assert spread(1) == [0]


def test_one_step_and_a_branch_that_is_not_there_are_refused():
    with pytest.raises(ValueError, match="at least 2"):
        feature_similarity(prompted(), "a cat", steps=1)
    with pytest.raises(ValueError, match="branch=99"):
        feature_similarity(prompted(), "a cat", branches=[99], **SAMPLING)


def test_the_drawing_has_a_square_for_each_branch(found, tmp_path):
    (tmp_path / "two.png").write_bytes(draw_similarity(found))
    (tmp_path / "one.png").write_bytes(draw_similarity(Similarity("unet", [1, 0], {0: np.eye(2)})))
    three = Similarity("unet", [2, 1, 0], {branch: np.eye(3) for branch in range(3)})
    (tmp_path / "three.png").write_bytes(draw_similarity(three))
    three, two, one = (Image.open(tmp_path / name) for name in ("three.png", "two.png", "one.png"))
    assert two.width > 1.2 * one.width
    assert three.width == two.width
    assert three.height > 1.5 * two.height


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prompted().save_pretrained("model")
    call = ["inspect", "model", "--similarity", "there.png", "--prompt", "a cat", "--steps", "4"]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    assert "cosine to the next step" in done.stdout
    assert Image.open("there.png").width > 100
    (printed,) = json.loads(CliRunner().invoke(app, [*call, "--json"]).stdout)
    assert np.shape(printed["branches"][0]["cosines"]) == (4, 4)
    refused = CliRunner().invoke(
        app, ["inspect", "inpainting", "--similarity", "x.png", "--task", "controlnet"]
    )
    assert refused.exit_code == 2
    assert "is for inpaint" in refused.stderr
