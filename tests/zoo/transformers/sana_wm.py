"""Sana world model: one list of blocks that see a camera's rays; the first frame is given."""

from typing import Any

from diffusers import SanaWMTransformer3DModel

from tests.zoo.parts import EMBEDDING, pil_picture, quiet
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import CHANNELS, SIDE, case, run_on_video
from tests.zoo.transformers.ltx2 import FRAMES, vae
from tests.zoo.transformers.parts import flow, prompts

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


CASES = [case("SanaWMPipeline", build, forward, run_on_video)]
