"""Sana world model: one list of blocks that see a camera's rays, and LTX 2's to refine block by block."""

from typing import Any

import torch
from diffusers import SanaWMTransformer3DModel
from diffusers.models.transformers.transformer_sana_wm_refiner import SanaWMLTX2RefinerTransformer3DModel

from tests.zoo.parts import EMBEDDING, PROMPT, TOKENS, generator, pil_picture, quiet
from tests.zoo.random_weights import lively
from tests.zoo.transformers.anyflow import KEPT
from tests.zoo.transformers.clips import CHANNELS, SIDE, case, run_on_video
from tests.zoo.transformers.ltx2 import FRAMES, connectors, vae
from tests.zoo.transformers.ltx2 import SHAPE as LTX2_SHAPE
from tests.zoo.transformers.parts import flow, noise, prompts
from tests.zoo.transformers.words import t5_and_tokenizer

SHAPE = {
    "in_channels": CHANNELS,
    "num_layers": 5,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "linear_head_dim": 16,
    "softmax_every_n": 3,
    "chunk_plucker_channels": 6 * 8,  # six numbers for each of the eight frames that are one of the latent
    "chunk_plucker_post_attn_blocks": 5,
    "caption_channels": EMBEDDING,
    "mlp_ratio": 2.0,
}


def build(cls: Any) -> Any:
    model = lively(0, lambda: SanaWMTransformer3DModel(**SHAPE))
    return quiet(cls(transformer=model, vae=vae(), scheduler=flow(), tokenizer=None, text_encoder=None))


def forward() -> dict[str, Any]:
    """The camera moves forward."""
    camera = {"action": f"w-{FRAMES - 1}", "intrinsics": [30.0, 30.0, 16.0, 16.0], "num_frames": FRAMES}
    words = {"prompt": None, "negative_prompt": None}
    return {"image": pil_picture(SIDE)} | camera | words | prompts(mask="attention_mask")


def refiner(cls: Any) -> Any:
    shape = {name: value for name, value in LTX2_SHAPE.items() if name != "perturbed_attn"}
    return quiet(
        cls(
            transformer=lively(0, lambda: SanaWMLTX2RefinerTransformer3DModel(**shape)),
            connectors=connectors(),
            scheduler=flow(),
            vae=vae(),
            text_max_sequence_length=TOKENS,
            **t5_and_tokenizer(),
        )
    )


def refine(pipe: Any, _: bool) -> torch.Tensor:
    """Five frames: the first is looked at, and two blocks of two are refined behind it."""
    latents = noise(1, CHANNELS, 5, 4, 4, seed=21)
    blocks = {"block_size": 2, "kv_max_frames": 4, "sigmas": (0.9, 0.75, 0.6, 0.4, 0.2, 0.1, 0.0)}
    call = {"prompt": PROMPT, "fps": 24.0, "output_type": "latent", "generator": generator()}
    return pipe(latents, **call | blocks)


CASES = [
    case("SanaWMPipeline", build, forward, run_on_video),
    case("SanaWMLTX2Refiner", refiner, dict, refine, guidance=False, refused=KEPT),
]
