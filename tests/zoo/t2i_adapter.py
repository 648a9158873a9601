"""T2I-Adapters: residuals for the down blocks, made once per picture."""

from typing import Any

from diffusers import StableDiffusionAdapterPipeline, StableDiffusionXLAdapterPipeline, T2IAdapter

from tests.zoo import parts
from tests.zoo.case import Case


def adapter(seed: int = 2, kind: str = "full_adapter") -> T2IAdapter:
    shape = {"channels": [8, 16], "num_res_blocks": 1, "downscale_factor": 2, "adapter_type": kind}
    return parts.seeded(seed, lambda: T2IAdapter(**shape))


def adapter_xl() -> T2IAdapter:
    """Four residuals, the last for the mid block: for three levels."""
    shape = {"channels": [8, 16, 16, 16], "num_res_blocks": 1, "downscale_factor": 4}
    return parts.seeded(2, lambda: T2IAdapter(adapter_type="full_adapter_xl", **shape))


def xl() -> Any:
    unet = parts.unet_xl(
        block_out_channels=(8, 16, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2),
    )
    return parts.quiet(
        StableDiffusionXLAdapterPipeline(
            vae=parts.vae(),
            text_encoder=None,
            text_encoder_2=None,
            tokenizer=None,
            tokenizer_2=None,
            unet=unet,
            adapter=adapter_xl(),
            scheduler=parts.euler(),
        )
    )


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    return parts.run(pipe, guided, **{"image": parts.picture(), "adapter_conditioning_scale": 0.8} | changes)


def sample_two(pipe: Any, guided: bool) -> Any:
    pictures = [parts.picture(), parts.picture(seed=6)]
    return sample(pipe, guided, image=pictures, adapter_conditioning_scale=[0.8, 0.5])


def sample_xl(pipe: Any, guided: bool, **changes: Any) -> Any:
    return sample(pipe, guided, **parts.embeddings_xl() | changes)


CASES = [
    Case(
        "StableDiffusionAdapterPipeline",
        "controlnet",
        lambda: parts.stable_diffusion(StableDiffusionAdapterPipeline, adapter=adapter()),
        sample,
    ),
    Case(
        "StableDiffusionAdapterPipeline (light)",
        "controlnet",
        lambda: parts.stable_diffusion(StableDiffusionAdapterPipeline, adapter=adapter(2, "light_adapter")),
        sample,
    ),
    Case(
        "StableDiffusionAdapterPipeline (two)",
        "controlnet",
        lambda: parts.stable_diffusion(StableDiffusionAdapterPipeline, adapter=[adapter(2), adapter(3)]),
        sample_two,
    ),
    Case("StableDiffusionXLAdapterPipeline", "controlnet", xl, sample_xl),
    Case(
        "StableDiffusionXLAdapterPipeline (first half)",
        "controlnet",
        xl,
        lambda pipe, guided: sample_xl(pipe, guided, adapter_conditioning_factor=0.5),
    ),
]
