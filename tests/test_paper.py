"""Multiply-adds in two conventions: the digits of DeepCache's paper, and those of a run by component."""

import json

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0, SlicedAttnProcessor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel
from typer.testing import CliRunner

import mmcache
from mmcache.architectures.registry import adapter_for
from mmcache.cli import app
from mmcache.macs.conventions import EVERYTHING, PAPER, paper_convention
from mmcache.macs.count import count_macs, shapes_of, skip_branch
from mmcache.tools.running.macs_counter import CallCounter, counted_components, macs_by_component
from mmcache_demos.paper.printed_figures import PRINTED_RUNS
from mmcache_demos.paper.published_models import (
    DDPM_CIFAR_10,
    DDPM_LSUN,
    LDM_4_G,
    STABLE_DIFFUSION,
    STABLE_DIFFUSION_XL,
    STABLE_VIDEO_DIFFUSION_XT,
)
from mmcache_demos.paper.reproduction import CountedRun, count_steps
from tests import tiny
from tests.tiny_prompted import controlled, inpainting, prompted

# Cached steps by branch and a full one, as DeepCache's own program counts its own code of these models.
BY_BRANCH = {
    STABLE_DIFFUSION: ("G", "20.72 57.33 98.14 132.73 167.72 208.58 338.83"),
    STABLE_DIFFUSION_XL: ("G", "49.10 128.03 223.75 392.42 592.99 817.05 2989.75"),
    STABLE_VIDEO_DIFFUSION_XT: ("T", "2.02 5.79 9.79 12.59 16.25 20.25 32.21"),
}
SIZE = {"G": 1e9, "T": 1e12}
DISAGREES = (STABLE_DIFFUSION, 5)  # with the paper's other figures


@pytest.fixture(scope="module")
def steps():
    """Each model is counted once."""
    known = {}

    def of(model):
        if model not in known:
            known[model] = count_steps(model)
        return known[model]

    return of


def named(value):
    return getattr(value, "name", None)


@pytest.mark.parametrize("model", BY_BRANCH, ids=named)
def test_steps_of_each_branch_to_the_digit(model, steps):
    unit, digits = BY_BRANCH[model]
    counted = [*steps(model).cached, steps(model).full]
    assert [f"{step['paper'] / SIZE[unit]:.2f}" for step in counted] == digits.split()


@pytest.mark.parametrize("model", [LDM_4_G, DDPM_CIFAR_10, DDPM_LSUN, STABLE_DIFFUSION], ids=named)
def test_the_papers_rows_to_the_digit(model, steps):
    rows = [row for row in PRINTED_RUNS if row.model is model and (model, row.interval) != DISAGREES]
    assert rows
    assert {row.interval: CountedRun(row, steps(model)).counted for row in rows} == {
        row.interval: row.printed for row in rows
    }


def test_the_row_that_disagrees_is_said(steps):
    (row,) = (row for row in PRINTED_RUNS if (row.model, row.interval) == DISAGREES)
    run = CountedRun(row, steps(STABLE_DIFFUSION))
    assert run.counted == "113.63"
    assert not run.agrees
    said = run.disagreement()
    for words in ("prints 130.45G", "gives 113.63G", "nearest is 130.52G, at N=4 and branch 1"):
        assert words in said


def test_a_steps_figures_are_those_of_count_macs(steps):
    model = LDM_4_G
    denoiser, call = model.build(), model.call()
    for convention in (EVERYTHING, paper_convention(model.overlooked)):
        name = convention.name
        assert count_macs(denoiser, call, convention=convention) == steps(model).full[name]
        smaller = skip_branch(adapter_for(denoiser).cut, 2)
        assert count_macs(denoiser, call, smaller, convention) == steps(model).cached[2][name]


def test_the_papers_convention_by_hand():
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(4, 8, 3, padding=1, groups=2),
        torch.nn.GroupNorm(2, 8),
        torch.nn.SiLU(),
        torch.nn.Flatten(2),
        torch.nn.Linear(36, 5),
        torch.nn.LayerNorm(5, elementwise_affine=False),
        torch.nn.GELU(),
    )
    call = {"input": torch.empty(3, 4, 6, 6)}
    outputs = 3 * 8 * 36
    expected = outputs * 2 * 9 + outputs  # a convolution's bias for each output
    expected += 2 * outputs
    expected += 3 * 8 * 36 * 5 + 5  # a linear layer's once
    expected += 2 * 3 * 8 * 5
    assert count_macs(layers, call, convention=PAPER) == expected
    assert count_macs(layers, call) == outputs * 2 * 9 + 3 * 8 * 36 * 5
    assert count_macs(layers, call, convention=paper_convention(["1"])) == expected - 2 * outputs


def unet_call(device="cpu"):
    call = {"sample": (1, 4, 16, 16), "timestep": (1,), "encoder_hidden_states": (1, 12, 16)}
    return shapes_of({name: torch.ones(shape, device=device) for name, shape in call.items()})


DEVICES = ["cpu", "meta", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("convention", [EVERYTHING, PAPER], ids=named)
def test_figures_depend_neither_on_device_nor_precision_nor_attention_backend(convention):
    def counted(model, device="cpu"):
        return count_macs(model, unet_call(device), convention=convention)

    expected = counted(tiny.unet())
    assert expected
    for processor in (AttnProcessor(), AttnProcessor2_0(), SlicedAttnProcessor(1), SlicedAttnProcessor(3)):
        model = tiny.unet()
        model.set_attn_processor(processor)
        assert counted(model) == expected, processor
    for backend in (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION):
        with sdpa_kernel(backend):
            assert counted(tiny.unet()) == expected, backend
    for device in DEVICES:
        assert counted(tiny.unet().to(device, torch.bfloat16), device) == expected, device


def test_everything_has_attentions_own_products():
    attention = tiny.unet().down_blocks[0].attentions[0].transformer_blocks[0].attn1
    tokens, width = 64, attention.inner_dim
    call = {"hidden_states": torch.empty(1, tokens, width)}
    assert count_macs(attention, call) == 4 * tokens * width**2 + 2 * tokens**2 * width


SHAPE = {"vocab_size": 50, "num_hidden_layers": 1, "num_layers": 1, "d_model": 16, "d_kv": 8, "d_ff": 16}
SHAPE |= {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_heads": 2}


@pytest.mark.parametrize(
    ("model", "config"), [(CLIPTextModel, CLIPTextConfig), (T5EncoderModel, T5Config)], ids=["CLIP", "T5"]
)
def test_a_text_encoder_is_counted_with_every_attention_and_mask(model, config):
    words = torch.ones(2, 12, dtype=torch.long)
    found = set()
    for attention in ("eager", "sdpa"):
        for mask in ({}, {"attention_mask": words}):
            encoder = model(config(**SHAPE, attn_implementation=attention))
            calls = CallCounter()
            calls.note(encoder, (words,), mask)
            found.add(calls.macs())
    assert len(found) == 1
    assert found.pop()


PICTURE = {"image": torch.zeros(1, 3, 16, 16)}
MASKED = PICTURE | {"mask_image": torch.ones(1, 1, 16, 16)}


@pytest.mark.parametrize(
    ("make", "given", "cached", "encodes"),
    [
        (prompted, {}, {"unet"}, 0),
        (controlled, PICTURE, {"unet", "controlnet"}, 0),
        (inpainting, MASKED, {"unet"}, 1),
    ],
    ids=["prompted", "controlled", "inpainting"],
)
def test_a_run_by_component(make, given, cached, encodes):
    pipe = make()
    with mmcache.accelerate(pipe, interval=3) as session, counted_components(pipe) as calls:
        pipe("a cat", num_inference_steps=10, output_type="np", **given)
        found = macs_by_component(calls, session.report())
    assert set(found) == cached | {"vae", "text_encoder"}
    for name, macs in found.items():
        assert macs["full"] > macs["cached"] if name in cached else macs["full"] == macs["cached"] > 0

    latent, picture = torch.empty(1, 4, 8, 8), torch.empty(1, 3, 16, 16)
    decoded = count_macs(pipe.vae.decoder, {"sample": latent})
    decoded += count_macs(pipe.vae.post_quant_conv, {"input": latent})
    encoded = count_macs(pipe.vae.encoder, {"sample": picture})
    encoded += count_macs(pipe.vae.quant_conv, {"input": torch.empty(1, 8, 8, 8)})
    assert found["vae"]["full"] == decoded + encodes * encoded
    assert not any("forward" in vars(module) for module in pipe.vae.modules())


def test_components_that_fail_are_noted_again_from_the_outermost():
    pipe = prompted()
    with counted_components(pipe) as calls:
        with pytest.raises(TypeError):
            pipe.vae.decoder()
        pipe.vae.decoder(torch.zeros(1, 4, 8, 8))
    assert len(calls["vae"].calls) == 2
    assert not calls["text_encoder"].calls


def test_the_command(monkeypatch):
    """On the two quickest models."""
    for name in ("PRINTED_RUNS", "BY_BRANCH"):
        few = PRINTED_RUNS[-9:] if name == "PRINTED_RUNS" else (DDPM_CIFAR_10,)
        monkeypatch.setattr(f"mmcache_demos.paper.reproduction.{name}", few)
    table = CliRunner().invoke(app, ["paper"], env={"COLUMNS": "140"})
    assert table.exit_code == 0, table.output
    for words in ("paper prints", "DDPM, LSUN", "190.8G", "equal", "branch 5", "everything"):
        assert words in table.stdout
    assert "differs" not in table.stdout
    printed = json.loads(CliRunner().invoke(app, ["paper", "--json"]).stdout)
    assert set(printed["conventions"]) == {"paper", "everything"}
    assert [run["agrees"] for run in printed["runs"]] == [True] * 9
    assert printed["steps"][0]["cached"][2]["paper"] == pytest.approx(2.245e9, rel=1e-3)
