"""Kandinsky 6: blocks for a video and its sound together, and a model that makes a video larger in tiles."""

from typing import Any

import torch
from diffusers import (
    Kandinsky6SRTransformer3DModel,
    Kandinsky6SRVAE,
    Kandinsky6Transformer3DModel,
    MMAudioVAE,
    MMAudioVocoder,
)

from tests.zoo.case import STEPS
from tests.zoo.parts import EMBEDDING, POOLED, generator, pil_picture, quiet, seeded
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import CHANNELS, FRAMES, SIDE, case, settings
from tests.zoo.transformers.hunyuan_video import vae
from tests.zoo.transformers.parts import flow, prompts

SHAPE = {
    "in_visual_dim": CHANNELS,
    "out_visual_dim": CHANNELS,
    "in_text_dim": EMBEDDING,
    "in_text_dim2": POOLED,
    "time_dim": 16,
    "model_dim": 24,
    "ff_dim": 32,
    "num_text_blocks": 1,
    "num_visual_blocks": 5,
    "axes_dims": (4, 4, 4),
    "in_audio_dim": 4,
    "out_audio_dim": 4,
    "visual_token_type_num_embeddings": 2,
}


def build(cls: Any) -> Any:
    none = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    model = lively(0, lambda: Kandinsky6Transformer3DModel(**SHAPE))
    audio_vae = {
        "mel_bins": 8,
        "latent_channels": 4,
        "hidden_channels": 8,
        "channel_multipliers": (1, 2),
        "layers_per_block": 1,
        "sample_rate": 64,
        "n_fft": 16,
        "hop_length": 4,
    }
    vocoder = {
        "num_mels": 8,
        "upsample_initial_channel": 8,
        "upsample_rates": (2, 2),
        "upsample_kernel_sizes": (4, 4),
        "resblock_kernel_sizes": (3,),
        "resblock_dilation_sizes": ((1, 3),),
    }
    return quiet(
        cls(
            transformer=model,
            vae=vae(),
            audio_vae=seeded(1, lambda: MMAudioVAE(**audio_vae)),
            vocoder=seeded(1, lambda: MMAudioVocoder(**vocoder)),
            scheduler=flow(),
            **none,
        )
    )


def larger(cls: Any) -> Any:
    """Tiles of 32x32 pixels, from ones half as large; attention chooses by values whom to look at."""
    model = {
        "in_visual_dim": CHANNELS,
        "out_visual_dim": CHANNELS,
        "time_dim": 16,
        "model_dim": 24,
        "ff_dim": 32,
        "num_visual_blocks": 5,
        "axes_dims": (4, 4, 4),
        "tile_sizes": ((32, 32),),
    }
    of_vae = {
        "latent_channels": CHANNELS,
        "encoder_block_out_channels": (4, 8, 8),
        "decoder_block_out_channels": (4, 8, 8),
        "layers_per_block": 1,
        "temporal_compression_start_level": 0,
    }
    return quiet(
        cls(
            transformer=lively(0, lambda: Kandinsky6SRTransformer3DModel(**model)),
            vae=seeded(1, lambda: Kandinsky6SRVAE(**of_vae)),
            scheduler=flow(shift=3.5),
        )
    )


def text() -> dict[str, Any]:
    return prompts(pooled=POOLED) | {"num_frames": FRAMES, "frame_rate": 8.0}


def picture() -> dict[str, Any]:
    """Its latent stands behind the last frame's."""
    return text() | {"image": pil_picture(SIDE)}


def silent() -> dict[str, Any]:
    return text() | {"sample_audio": False}


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """Latents of the video and, if there is one, of its sound, one after the other."""
    made = pipe(**settings(guided, return_dict=False, **changes))
    return torch.cat([part.flatten() for part in made if part is not None])


def sample_tiles(pipe: Any, _: bool) -> torch.Tensor:
    """Pictures, from two tiles one after the other."""
    video = torch.rand(5, 3, 16, 28, generator=generator(5))
    call = {"resolution_scale": 2, "num_inference_steps": STEPS, "output_type": "pt"}
    return pipe(video=video, generator=generator(), **call).frames


CASES = [
    case("Kandinsky6TI2VAPipeline", build, text, sample),
    case("Kandinsky6TI2VAPipeline (picture)", build, picture, sample),
    case("Kandinsky6TI2VAPipeline (silent)", build, silent, sample),
    case("Kandinsky6SRPipeline", larger, dict, sample_tiles, guidance=False, counted=False),
]
