"""DiT: pictures of a class, the guidance in the batch."""

from typing import Any

from diffusers import DiTTransformer2DModel

from tests.zoo import parts
from tests.zoo.case import STEPS
from tests.zoo.parts import LATENT
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case

SHAPE = {
    "sample_size": LATENT,
    "patch_size": 2,
    "in_channels": 4,
    "out_channels": 8,  # the noise and its variance, which is dropped
    "num_layers": 6,
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "num_embeds_ada_norm": 1000,  # of classes; the one behind them is no class
}


def build(cls: Any) -> Any:
    transformer = lively(0, lambda: DiTTransformer2DModel(**SHAPE))
    return parts.quiet(cls(transformer=transformer, vae=parts.vae(), scheduler=parts.ddim()))


def sample(pipe: Any, guided: bool) -> Any:
    """The picture (1, 16, 16, 3)."""
    return pipe(
        class_labels=[3],
        guidance_scale=4.0 if guided else 1.0,
        generator=parts.generator(),
        num_inference_steps=STEPS,
        output_type="np",
    ).images


CASES = [case("DiTPipeline", "image", build, sample)]
