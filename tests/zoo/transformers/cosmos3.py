"""Cosmos 3: layers that read the text beside those that make the video, in one sequence."""

from typing import Any

import torch
from diffusers import Cosmos3OmniTransformer
from transformers import BatchEncoding

from tests.zoo.parts import PROMPT, pil_picture, quiet, tokenizer
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import CHANNELS, FRAMES, SIDE, case, settings, unipc_flow, wan_vae


class ChatTokenizer:
    """Every byte is a token, and a conversation is what is said in it."""

    def __init__(self) -> None:
        self.words = tokenizer()
        self.eos_token_id = self.words.eos_token_id

    def convert_tokens_to_ids(self, token: str) -> int:
        return self.words.bos_token_id

    def apply_chat_template(self, conversation: list[dict[str, str]], **_: Any) -> BatchEncoding:
        return self.words(conversation[-1]["content"], truncation=True)


SHAPE = {
    "head_dim": 12,
    "hidden_size": 24,
    "intermediate_size": 32,
    "latent_channel": CHANNELS,
    "latent_patch_size": 1,
    "patch_latent_dim": CHANNELS,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "num_hidden_layers": 5,
    "rope_axes_dim": (2, 2, 2),
    "vocab_size": len(tokenizer()),
}


def build(cls: Any) -> Any:
    return quiet(
        cls(
            transformer=lively(0, lambda: Cosmos3OmniTransformer(**SHAPE)),
            text_tokenizer=ChatTokenizer(),
            vae=wan_vae(),
            scheduler=unipc_flow(),
            enable_safety_checker=False,
        )
    )


def text() -> dict[str, Any]:
    unsaid = ("use_system_prompt", "add_resolution_template", "add_duration_template", "enable_safety_check")
    return {"prompt": PROMPT, "negative_prompt": "a", "num_frames": FRAMES} | dict.fromkeys(unsaid, False)


def picture() -> dict[str, Any]:
    return text() | {"image": pil_picture(SIDE)}


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    return pipe(**settings(guided, **changes)).video


CASES = [
    case("Cosmos3OmniPipeline", build, text, sample),
    case("Cosmos3OmniPipeline (picture)", build, picture, sample),
]
