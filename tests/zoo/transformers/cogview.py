"""CogView 3 Plus and 4: blocks of two streams."""

from typing import Any

from diffusers import CogVideoXDDIMScheduler, CogView3PlusTransformer2DModel, CogView4Transformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING, LATENT
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case, control, drawing, flow, prompts, run

SHAPE = {
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 6,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "text_embed_dim": EMBEDDING,
    "time_embed_dim": 8,
    "condition_dim": 2,
    "pos_embed_max_size": LATENT,
    "sample_size": LATENT,
}
OF_4 = {"rope_axes_dim": (LATENT, LATENT)}


def build(cls: Any, transformer: Any, scheduler: Any, **shape: Any) -> Any:
    return parts.quiet(
        cls(
            tokenizer=None,
            text_encoder=None,
            vae=parts.vae(),
            transformer=lively(0, lambda: transformer(**SHAPE | shape)),
            scheduler=scheduler,
        )
    )


def build_3(cls: Any) -> Any:
    scheduler = CogVideoXDDIMScheduler(
        prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing"
    )
    return build(cls, CogView3PlusTransformer2DModel, scheduler)


def build_4(cls: Any, **shape: Any) -> Any:
    scheduler = flow(base_shift=0.25, max_shift=0.75, base_image_seq_len=256, use_dynamic_shifting=True)
    return build(cls, CogView4Transformer2DModel, scheduler, **OF_4 | shape)


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    return run(pipe, guided, **prompts() | changes)


CASES = [
    case("CogView3PlusPipeline", "image", build_3, sample),
    case("CogView4Pipeline", "image", build_4, sample),
    case(
        "CogView4ControlPipeline",
        "controlnet",
        lambda cls: build_4(cls, in_channels=8),
        drawing(sample),
        control,
    ),
]
