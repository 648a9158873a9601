"""AuraFlow: double and single blocks, with registers before the words."""

from typing import Any

from diffusers import AuraFlowTransformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING, LATENT
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case, flow, prompts, run

SHAPE = {
    "sample_size": LATENT,
    "patch_size": 2,
    "in_channels": 4,
    "out_channels": 4,
    "num_mmdit_layers": 2,
    "num_single_dit_layers": 5,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": EMBEDDING,
    "caption_projection_dim": 16,
    "pos_embed_max_size": LATENT**2,
}


def build(cls: Any) -> Any:
    return parts.quiet(
        cls(
            tokenizer=None,
            text_encoder=None,
            vae=parts.vae(),
            transformer=lively(0, lambda: AuraFlowTransformer2DModel(**SHAPE)),
            scheduler=flow(shift=1.73),
        )
    )


def sample(pipe: Any, guided: bool) -> Any:
    return run(pipe, guided, **prompts(mask="attention_mask"))


CASES = [case("AuraFlowPipeline", "image", build, sample)]
