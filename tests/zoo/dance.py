"""Dance Diffusion: waveforms."""

from typing import Any

from diffusers import DanceDiffusionPipeline, IPNDMScheduler, UNet1DModel

from tests.zoo import parts
from tests.zoo.case import STEPS, Case


def unet() -> UNet1DModel:
    """Three levels, three branches; waveforms (2, 128)."""
    return parts.seeded(
        0,
        lambda: UNet1DModel(
            block_out_channels=(32, 32, 32),
            extra_in_channels=16,
            time_embedding_dim=16,
            sample_size=128,
            sample_rate=16_000,
        ),
    )


def make() -> DanceDiffusionPipeline:
    return parts.quiet(DanceDiffusionPipeline(unet(), IPNDMScheduler()))


def sample(pipe: DanceDiffusionPipeline, guided: bool) -> Any:
    return pipe(num_inference_steps=STEPS, generator=parts.generator()).audios


CASES = [Case("DanceDiffusionPipeline", "audio", make, sample, guidance=False)]
