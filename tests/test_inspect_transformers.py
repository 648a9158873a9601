"""`mmcache inspect` of transformers: known figures, the pipelines' own calls, the stack that is drawn."""

import inspect as signatures
import json
from dataclasses import replace

import diffusers
import pytest
import torch
from diffusers import (
    DiTTransformer2DModel,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    WanTransformer3DModel,
)
from PIL import Image
from typer.testing import CliRunner

from mmcache.api.resolved_pipeline import find_denoisers
from mmcache.architectures.example_call import Size, TransformerCall
from mmcache.architectures.registry import adapter_for, known
from mmcache.architectures.shapes import If
from mmcache.cli import app
from mmcache.macs.count import count_macs, shapes_of, skip_branch
from mmcache.tools.inspecting.inspection import inspect, inspect_denoiser
from mmcache.tools.inspecting.pictures import save_picture
from tests import zoo
from tests.zoo.transformers import flux, pixart

SMALL = Size(batch=2, height=64, width=64, tokens=7)


def on_meta(cls, **config):
    with torch.device("meta"):
        return cls(**config).eval()


@pytest.mark.parametrize("make", [pytest.param(flux.transformer, marks=pytest.mark.slow), pixart.transformer])
def test_macs_are_those_of_a_full_and_a_cached_step(make):
    model = make()
    (found,) = inspect(model, SMALL)
    assert not found.note
    shapes = shapes_of(adapter_for(model).example_call.arguments(model.config, SMALL))
    assert found.full_macs == count_macs(model, shapes)
    for branch in found.branches:
        assert branch.macs == count_macs(model, shapes, skip_branch(adapter_for(model).cut, branch.branch))
        blocks = sum(part.macs for part in branch.parts)
        left_out = sum(part.macs for part in branch.parts if not part.stays)
        assert 0 < blocks < found.full_macs
        assert found.full_macs - left_out == branch.macs


def test_the_macs_of_dit_xl_are_those_of_its_paper():
    """Table 4 of arXiv 2212.09748: 118.64 Gflops for DiT-XL/2 at 256x256, which are multiply-adds."""
    (found,) = inspect(on_meta(DiTTransformer2DModel, out_channels=8))
    assert found.stands_for == "an image of 256x256 pixels"
    assert found.full_macs == pytest.approx(118.64e9, rel=1e-3)


# By hand: weights times tokens, and attention's two products, of the blocks alone.
FLUX_TOKENS = 64 * 64 + 512
WAN_TOKENS = 21 * 30 * 52
BY_HAND = {
    # 19 and 38 blocks of 12 * 3072**2 weights for each token.
    "flux": 57 * (12 * 3072**2 * FLUX_TOKENS + 2 * FLUX_TOKENS**2 * 3072),
    # 40 blocks: attention to itself, to 512 tokens of text, and two layers of 13824.
    "wan": 40
    * (
        (6 * 5120**2 + 2 * 5120 * 13824) * WAN_TOKENS
        + 2 * 5120**2 * 512
        + 2 * WAN_TOKENS * (WAN_TOKENS + 512) * 5120
    ),
    # 24 blocks of two streams, 24 heads of 64, but for the last's text, which goes no further.
    "sd3": 24 * (12 * 1536**2 * (4096 + 333) + 2 * (4096 + 333) ** 2 * 1536) - 9 * 1536**2 * 333,
}
MODELS = {
    "flux": lambda: on_meta(FluxTransformer2DModel, guidance_embeds=True),
    "wan": lambda: on_meta(WanTransformer3DModel),
    "sd3": lambda: on_meta(
        SD3Transformer2DModel,
        num_layers=24,
        num_attention_heads=24,
        caption_projection_dim=1536,
        pos_embed_max_size=192,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_macs_of_real_sizes_are_those_by_hand(name):
    (found,) = inspect(MODELS[name]())
    assert found.full_macs == pytest.approx(BY_HAND[name], rel=5e-3)


EXAMPLES = {
    name: adapter.example_call
    for name, adapter in known().denoisers.items()
    if isinstance(adapter.example_call, TransformerCall)
}


def test_no_example_call_was_lost():
    assert len(EXAMPLES) == 60


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_argument_is_one_of_the_class(name):
    cls = getattr(diffusers, name)
    shapes = EXAMPLES[name].shapes
    arguments = signatures.signature(signatures.unwrap(cls.forward)).parameters
    assert set(shapes) <= set(arguments)
    needed = [arg for arg, what in arguments.items() if what.default is what.empty and arg != "self"]
    assert set(needed) <= set(shapes)
    entries = {shape.entry for shape in shapes.values() if isinstance(shape, If)}
    assert entries <= set(signatures.signature(cls.__init__).parameters)


class Seen(BaseException):
    """Enough of the run is seen: no error of the pipeline's."""


# Its prior is called with a sequence; the example is a call of the priors of Kandinsky and unCLIP.
OTHERWISE = "ShapEPipeline"


def first_of_each_class():
    for case in zoo.TRANSFORMERS:
        marks = [] if case.name == "PixArtAlphaPipeline" else pytest.mark.slow
        if case.first and case.refused is None and case.name != OTHERWISE:
            yield pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", list(first_of_each_class()))
def test_the_arguments_are_those_that_the_pipeline_gives(case):
    pipe = case.make()
    model = next(part.model for part in find_denoisers(pipe).values())
    given = {}

    def see(module, args, kwargs):
        names = [*signatures.signature(signatures.unwrap(type(module).forward)).parameters][1:]
        given.update(dict(zip(names, args, strict=False)) | kwargs)
        raise Seen

    model.register_forward_pre_hook(see, with_kwargs=True)
    with pytest.raises(Seen):
        case.sample(pipe, True)
    example = adapter_for(model).example_call
    if example is None:
        pytest.skip(f"no usual call of a {type(model).__name__} is known")
    call = example.arguments(model.config, Size())
    for name in call.keys() & given.keys():
        if isinstance(call[name], torch.Tensor) and isinstance(given[name], torch.Tensor):
            assert call[name].is_floating_point() >= given[name].is_floating_point(), name
            if name not in ("timestep", "t"):
                assert call[name].ndim == given[name].ndim, name


def test_a_size_can_be_chosen():
    model = flux.transformer()
    (found,) = inspect(model, Size(batch=2, height=512, width=768, tokens=64))
    assert found.stands_for == "an image of 512x768 pixels, 64 tokens of text"
    assert found.call["hidden_states"] == [2, 32 * 48, 16]
    assert found.call["encoder_hidden_states"][:2] == [2, 64]
    with pytest.raises(ValueError, match="height=1000: wanted a multiple of 16 pixels"):
        inspect(model, Size(height=1000))


def test_what_looks_at_contents_is_said_in_one_sentence(monkeypatch):
    model = pixart.transformer()

    def looks(*args, **kwargs):
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")

    monkeypatch.setattr("mmcache.tools.inspecting.inspection.skeleton", looks)
    adapter = replace(adapter_for(model), data_dependent=True)
    found = inspect_denoiser("transformer", model, adapter, SMALL)
    assert "looks at the contents of its tensors, and a config has none" in found.note
    assert "meta tensor" not in found.note


def test_the_parts_of_a_stack_and_its_drawing(tmp_path):
    model = flux.transformer()
    (found,) = inspect(model, SMALL, "transformer")
    said = [(part.blocks, part.first, part.last, part.stays) for part in found.branches[0].parts]
    assert said == [
        ("transformer_blocks", 0, 0, True),
        ("transformer_blocks", 1, 1, False),
        ("single_transformer_blocks", 0, 3, False),
        ("single_transformer_blocks", 4, 4, True),
    ]
    assert found.branches[0].parts[1].streams == ("encoder_hidden_states", "hidden_states")
    assert found.branches[0].parts[0].streams == ()
    save_picture(tmp_path / "stack.png", [(model, found)], 0)
    assert 400 < Image.open(tmp_path / "stack.png").width < 900
    with pytest.raises(ValueError, match="has 3 branches"):
        save_picture(tmp_path / "stack.png", [(model, found)], 3)


def test_the_command_takes_a_size_and_says_what_it_is_for(tmp_path):
    pixart.transformer().save_config(tmp_path)
    asked = ["--height", "64", "--width", "32", "--tokens", "9", "--json"]
    done = CliRunner().invoke(app, ["inspect", str(tmp_path), *asked])
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)
    assert found["stands_for"] == "an image of 64x32 pixels, 9 tokens of text"
    assert found["call"]["hidden_states"] == [1, 4, 8, 4]
    assert found["branches"][0]["parts"][0]["blocks"] == "transformer_blocks"
    done = CliRunner().invoke(app, ["inspect", str(tmp_path), "--height", "65"])
    assert done.exit_code == 2
    assert "height=65: wanted a multiple of 8" in done.stderr
