"""Tiny random parts that the pipelines of videos share; the same weights every time."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler
from PIL import Image

from tests.zoo.case import STEPS, Case
from tests.zoo.parts import generator, pil_picture, seeded
from tests.zoo.transformers import parts
from tests.zoo.transformers.parts import prompts

SIDE = 32  # height and width of a frame, that a VAE makes eight times smaller
FRAMES = 9  # three frames of the latent, if the VAE makes it four times shorter
CHANNELS = 4  # of the latent


def clip(frames: int = FRAMES, side: int = SIDE) -> list[Image.Image]:
    return [pil_picture(side, seed=seed) for seed in range(frames)]


def grey_clip(frames: int = FRAMES, side: int = SIDE) -> list[Image.Image]:
    """Masks."""
    return [picture.convert("L") for picture in clip(frames, side)]


def wan_vae(**changes: Any) -> AutoencoderKLWan:
    """Videos (3, 4f + 1, 8h, 8w) to latents (4, f + 1, h, w)."""
    shape = {
        "base_dim": 4,
        "z_dim": CHANNELS,
        "dim_mult": [1, 1, 1, 1],
        "num_res_blocks": 1,
        "latents_mean": [0.0] * CHANNELS,
        "latents_std": [1.0] * CHANNELS,
    }
    return seeded(1, lambda: AutoencoderKLWan(**shape | changes))


def unipc_flow() -> UniPCMultistepScheduler:
    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)


def scale(guided: bool, name: str = "guidance_scale") -> dict[str, float]:
    return {name: 5.0 if guided else 1.0}


def settings(guided: bool, **changes: Any) -> dict[str, Any]:
    """What a call has in all families: `STEPS` steps, a fixed seed, latents."""
    call = {
        "num_inference_steps": STEPS,
        "output_type": "latent",
        "generator": generator(),
        "height": SIDE,
        "width": SIDE,
    }
    return call | scale(guided) | changes


def run_on_video(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """The latents of a video as long as what the call is given."""
    return pipe(**settings(guided, **changes)).frames


def run(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """The latents of a video of `FRAMES`."""
    return run_on_video(pipe, guided, **{"num_frames": FRAMES} | changes)


def picture_and_prompts() -> dict[str, Any]:
    return {"image": pil_picture(SIDE)} | prompts()


def clip_and_prompts() -> dict[str, Any]:
    return {"video": clip()} | prompts()


def case(
    name: str,
    make: Callable[[Any], Any],
    inputs: Callable[[], dict[str, Any]],
    sample: Callable[..., Any] = run,
    family: str = "video",
    **about: Any,
) -> Case:
    """A case whose name begins with the class, of the family of videos if nothing else is said."""
    return parts.case(name, family, make, sample, inputs, **about)
