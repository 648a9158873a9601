"""`mmcache inspect`: its figures are those of a cached step, and it needs no weights."""

import json
from dataclasses import replace

import pytest
import torch
from diffusers import (
    I2VGenXLUNet,
    UNet2DConditionModel,
    UNet3DConditionModel,
    UNetMotionModel,
    UNetSpatioTemporalConditionModel,
)
from PIL import Image
from typer.testing import CliRunner

from mmcache.architectures.example_call import Size
from mmcache.architectures.registry import adapter_for
from mmcache.cli import app
from mmcache.errors import MissingExtraError
from mmcache.macs.count import count_macs, shapes_of, skip_branch
from mmcache.tools.inspecting.from_config import denoisers_from_config
from mmcache.tools.inspecting.inspection import inspect, inspect_denoiser
from mmcache.tools.inspecting.pictures import save_picture
from mmcache.tools.model_source import ModelNotFoundError
from tests import tiny
from tests.tiny_prompted import SMALL, controlled, moving

VIDEO = {
    "sample_size": 8,
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "cross_attention_dim": 16,
}


def video_unet():
    blocks = {
        "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
        "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
    }
    return UNet3DConditionModel(**VIDEO, **blocks, attention_head_dim=8)


def i2vgen_unet():
    blocks = {
        "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
        "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
    }
    return I2VGenXLUNet(**VIDEO, **blocks, attention_head_dim=8)


def svd_unet():
    shape = {name: value for name, value in VIDEO.items() if name != "norm_num_groups"}
    blocks = {
        "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    }
    times = {"addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 24}
    return UNetSpatioTemporalConditionModel(
        **shape, **blocks, **times, num_attention_heads=(2, 4), num_frames=3
    )


def motion_unet():
    unet = tiny.unet(**SMALL)
    return UNetMotionModel.from_unet2d(unet, moving().motion_adapter)


MODELS = {
    "image": lambda: tiny.unet(**SMALL),
    "unconditional": tiny.unconditional_unet,
    "text and time": lambda: tiny.sdxl().unet,
    "classes": lambda: tiny.unet(**SMALL, num_class_embeds=4),
    "video": video_unet,
    "i2vgen": i2vgen_unet,
    "svd": svd_unet,
    "motion": motion_unet,
}


@pytest.mark.parametrize("name", MODELS)
def test_macs_are_those_of_a_full_and_a_cached_step(name):
    model = MODELS[name]()
    size = Size(batch=2, frames=3)
    (found,) = inspect(model, size)
    assert not found.note
    shapes = shapes_of(adapter_for(model).example_call.arguments(model.config, size))
    assert found.full_macs == count_macs(model, shapes)
    for branch in found.branches:
        smaller = skip_branch(adapter_for(model).cut, branch.branch)
        assert branch.macs == count_macs(model, shapes, smaller)
        assert branch.share == branch.macs / found.full_macs


def test_layers_and_bytes_of_a_known_u():
    (found,) = inspect(tiny.unet())
    said = [branch.layers for branch in found.branches]
    assert said[0] == "conv_in | up 2: layer 2, conv_out"
    assert said[1] == "conv_in, down 0: layer 0 | up 2: layers 1-2, conv_out"
    assert said[3] == "conv_in, down 0: all | up 1: layer 2 and upsampler, up 2: all, conv_out"
    assert said[8].startswith("conv_in, down 0: all, down 1: all, down 2: all | up 0: all")
    # (1, 16, 16, 16) in half precision: the output of up 2's layer 1.
    assert found.branches[0].bytes_per_lane == 16 * 16 * 16 * 2


def test_a_pipeline_is_inspected_as_it_is_and_left_alone():
    pipe = controlled()
    before = {name: tensor.clone() for name, tensor in pipe.unet.state_dict().items()}
    (found,) = inspect(pipe)
    assert (found.name, found.kind) == ("unet", "UNet2DConditionModel")
    assert all(torch.equal(tensor, before[name]) for name, tensor in pipe.unet.state_dict().items())


def test_without_an_example_call_the_layers_are_still_said():
    model = tiny.unet()
    found = inspect_denoiser("unet", model, replace(adapter_for(model), example_call=None), Size())
    assert "adapter 'image U-Net' has no example call of a UNet2DConditionModel" in found.note
    assert found.branches[0].layers == "conv_in | up 2: layer 2, conv_out"
    assert found.branches[0].macs is None


def test_a_call_that_fails_is_said():
    (found,) = inspect(tiny.unet(addition_embed_type="text", encoder_hid_dim=7))
    assert "the call that its config leads to fails" in found.note


@pytest.fixture(scope="module")
def config_alone(tmp_path_factory):
    """A folder with nothing but unet/config.json, of Stable Diffusion v1.5's shape."""
    folder = tmp_path_factory.mktemp("config")
    with torch.device("meta"):
        UNet2DConditionModel(sample_size=64, cross_attention_dim=768).save_config(folder / "unet")
    return folder


def run(*arguments):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def test_a_config_alone_is_enough(config_alone):
    done = run(config_alone, "--json")
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)
    assert found["call"]["sample"] == [1, 4, 64, 64]
    assert len(found["branches"]) == 12
    # 338.6 GMACs of its layers and 63 of attention's own products.
    assert found["full_macs"] == pytest.approx(401.6e9, rel=1e-3)
    assert found["branches"][0]["bytes_per_lane"] == 320 * 64 * 64 * 2


def test_the_table_and_the_picture(config_alone, tmp_path):
    done = run(config_alone / "unet", "--plot", tmp_path / "u.png", "--branch", 4)
    assert done.exit_code == 0, done.output
    assert "of full" in done.stdout
    assert "u.png" in done.stdout
    assert 400 < Image.open(tmp_path / "u.png").width < 800  # letters can be read on a phone
    assert [path.name for path in tmp_path.iterdir()] == ["u.png"]


def test_a_pipeline_folder_needs_no_weights(tmp_path):
    pipe = tiny.stable_diffusion(**SMALL)
    pipe.save_pretrained(tmp_path)
    for weights in tmp_path.rglob("*.safetensors"):
        weights.unlink()
    models = denoisers_from_config(tmp_path)
    assert list(models) == ["unet"]
    assert inspect(models["unet"]) == inspect(pipe.unet)


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("no such folder", ["no/such/folder"]),
        ("no model_index.json in it", ["empty"]),
        ("no adapter for denoiser (AutoencoderKL)", ["vae-alone"]),
        ("cannot be read as a config", ["broken"]),
        ("makes no UNet2DConditionModel", ["wrong"]),
        ("has to end in .png", ["wrong", "--plot", "u.jpg"]),
        ("Hugging Face hub did not give", ["nobody/nothing"]),
    ],
)
def test_bad_input_is_one_line(message, arguments, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    tiny.vae().save_config(tmp_path / "vae-alone")
    (tmp_path / "empty").mkdir()
    for name, text in (
        ("broken", "{"),
        ("wrong", '{"_class_name": "UNet2DConditionModel", "down_block_types": ["NoSuchBlock"]}'),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout


def test_a_branch_that_is_not_there_and_a_model_that_is_no_u(tmp_path):
    model = tiny.unet()
    (found,) = inspect(model)
    with pytest.raises(ValueError, match="has 9 branches"):
        save_picture(tmp_path / "u.png", [(model, found)], 9)
    assert not list(tmp_path.iterdir())


def test_missing_matplotlib_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r'pip install "mmcache\[plot\]"'):
        save_picture(tmp_path / "u.png", [], 0)


def test_a_folder_that_is_not_there_is_said():
    with pytest.raises(ModelNotFoundError, match="no such folder"):
        denoisers_from_config("nowhere")
