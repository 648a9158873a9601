"""Marigold: a picture's latent beside the noisy latent of its depth, normals or intrinsic layers."""

from typing import Any

import diffusers
import numpy as np

from tests.zoo.case import STEPS, Case
from tests.zoo.parts import ddim, generator, picture, prompted, quiet, unet, vae

LAYERS = 2  # that MarigoldIntrinsicsPipeline predicts, a latent each
LAYER_SETTINGS = {
    "target_names": ["albedo", "material"],
    "albedo": {"prediction_space": "linear"},
    "material": {"prediction_space": "linear"},
}


def build(cls: Any, kind: str, predicted: int = 4, **changes: Any) -> Any:
    """`predicted` channels of latents."""
    parts = {
        "unet": unet(in_channels=4 + predicted, out_channels=predicted),
        "vae": vae(),
        "scheduler": ddim(),
        "prediction_type": kind,
        **prompted(),
    }
    return quiet(cls(**parts | changes))


def intrinsics() -> Any:
    settings = {"predicted": 4 * LAYERS, "target_properties": LAYER_SETTINGS}
    return build(diffusers.MarigoldIntrinsicsPipeline, "intrinsics", **settings)


def run(pipe: Any, guided: bool) -> np.ndarray:
    """The prediction for a picture of 16x16."""
    return pipe(
        picture(),
        num_inference_steps=STEPS,
        processing_resolution=0,
        generator=generator(),
        output_type="np",
    ).prediction


CASES = [
    Case(
        "MarigoldDepthPipeline",
        "other",
        lambda: build(diffusers.MarigoldDepthPipeline, "depth"),
        run,
        guidance=False,
    ),
    Case(
        "MarigoldNormalsPipeline",
        "other",
        lambda: build(diffusers.MarigoldNormalsPipeline, "normals"),
        run,
        guidance=False,
    ),
    Case("MarigoldIntrinsicsPipeline", "other", intrinsics, run, guidance=False),
]
