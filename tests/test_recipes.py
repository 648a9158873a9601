"""Every recipe of the documentation runs, and saves multiply-adds."""

from typing import Any

import diffusers
import diffusers.utils
import pytest

from tests import code_blocks, tiny_prompted
from tests.zoo import parts, unconditional, video
from tests.zoo.animatediff import motion_adapter
from tests.zoo.case import STEPS
from tests.zoo.transformers import flux, stable_audio, wan
from tests.zoo.transformers.words import t5_and_tokenizer

RECIPES = code_blocks.blocks("recipes.md")
PICTURE = {"height": parts.PICTURE, "width": parts.PICTURE}
SIZES = {
    "Stable Video Diffusion": PICTURE | {"num_frames": 3},
    "AnimateDiff": {"num_frames": 3},
    "Flux": PICTURE,
    "Wan": {"height": 32, "width": 32, "num_frames": 5, "num_inference_steps": 12},  # of two denoisers
}
WIDE = 2 * parts.EMBEDDING  # SDXL's two text encoders, one beside the other


def sdxl_controlnet(controlnet: Any) -> Any:
    words = {"text_encoder_2": parts.text_encoder_with_projection(), "tokenizer_2": parts.tokenizer()}
    return parts.stable_diffusion_xl(
        diffusers.StableDiffusionXLControlNetPipeline,
        unet=parts.unet_xl(cross_attention_dim=WIDE),
        controlnet=controlnet,
        **parts.prompted(),
        **words,
    )


def flux_in_words() -> Any:
    t5 = t5_and_tokenizer()
    return parts.quiet(
        diffusers.FluxPipeline(
            scheduler=flux.flow(),
            vae=flux.vae(),
            transformer=flux.transformer(pooled_projection_dim=parts.EMBEDDING),
            **parts.prompted(),
            text_encoder_2=t5["text_encoder"],
            tokenizer_2=t5["tokenizer"],
        )
    )


def stable_video_diffusion() -> Any:
    """With an encoder for pictures of the size that the pipeline makes of any."""
    pipe = video.stable_video_diffusion()
    seen = {"image_size": 224, "patch_size": 112}
    pipe.register_modules(image_encoder=parts.image_encoder_with_projection(**seen))
    return pipe


def with_t5(pipe: Any) -> Any:
    pipe.register_modules(**t5_and_tokenizer())
    return pipe


MAKERS = {
    "StableDiffusionPipeline": tiny_prompted.prompted,
    "ControlNetModel": lambda: parts.controlnet_of(parts.unet_xl(cross_attention_dim=WIDE), 2),
    "StableDiffusionXLControlNetPipeline": sdxl_controlnet,
    "StableDiffusionInpaintPipeline": tiny_prompted.inpainting,
    "MotionAdapter": motion_adapter,
    "AnimateDiffPipeline": lambda motion_adapter: tiny_prompted.moving(),
    "StableVideoDiffusionPipeline": stable_video_diffusion,
    "FluxPipeline": flux_in_words,
    "WanPipeline": lambda: with_t5(wan.experts(diffusers.WanPipeline)),
    "StableAudioPipeline": lambda: with_t5(stable_audio.stable_audio(diffusers.StableAudioPipeline)),
    "UNet2DModel": unconditional.unet,
}


@pytest.fixture
def loaded(monkeypatch, tmp_path):
    """Small random pipelines, pictures from nowhere, files in a folder of the test."""
    code_blocks.loading(monkeypatch, MAKERS)
    monkeypatch.setattr(diffusers.utils, "load_image", lambda path: parts.pil_picture(32))
    monkeypatch.setattr(diffusers.DiffusionPipeline, "enable_model_cpu_offload", lambda pipe: None)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_runs_and_saves(recipe, loaded, capsys):
    (code,) = RECIPES[recipe]
    names = code_blocks.run(code, SIZES.get(recipe))
    report = names["session"].report()
    assert all(part.cached_steps for part in report.denoisers), str(report)
    assert report.macs < report.full_macs
    assert "cached calls" in capsys.readouterr().out


def test_every_kind_has_a_recipe():
    assert len(RECIPES) == len(MAKERS) - 2  # a ControlNet and a motion adapter are parts
    assert code_blocks.SMALLER["num_inference_steps"] == STEPS
