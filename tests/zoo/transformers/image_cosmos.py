"""Cosmos Predict 2 for pictures."""

from typing import Any

from diffusers import CosmosTransformer3DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import wan_vae
from tests.zoo.transformers.parts import case, flow, prompts, run

SIZE = 64  # the VAE makes it eight times smaller
SHAPE = {
    "in_channels": 4,
    "out_channels": 4,
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "num_layers": 6,
    "mlp_ratio": 2.0,
    "text_embed_dim": EMBEDDING,
    "adaln_lora_dim": 4,
    "max_size": (4, 16, 16),
    "extra_pos_embed_type": None,
    "concat_padding_mask": False,  # it would need torchvision
}


class NoSafetyChecker:
    """There is nothing to look at: prompts are embeddings, results latents."""

    def to(self, device: Any) -> None:
        pass


def build(cls: Any) -> Any:
    return parts.quiet(
        cls(
            text_encoder=None,
            tokenizer=None,
            transformer=lively(0, lambda: CosmosTransformer3DModel(**SHAPE)),
            vae=wan_vae(),
            scheduler=flow(use_karras_sigmas=True),
            safety_checker=NoSafetyChecker(),
        )
    )


def sample(pipe: Any, guided: bool) -> Any:
    return run(pipe, guided, height=SIZE, width=SIZE, **prompts())


CASES = [case("Cosmos2TextToImagePipeline", "image", build, sample)]
