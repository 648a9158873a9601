"""Kandinsky 5 for video: its blocks for the text run first, and those for the video attend to it."""

from typing import Any

from diffusers import Kandinsky5Transformer3DModel

from tests.zoo.parts import pil_picture, quiet
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import SIDE, case
from tests.zoo.transformers.hunyuan_video import vae
from tests.zoo.transformers.kandinsky5 import SHAPE, words
from tests.zoo.transformers.parts import flow


def build(cls: Any) -> Any:
    none = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    model = lively(0, lambda: Kandinsky5Transformer3DModel(**SHAPE, visual_cond=True))
    return quiet(cls(transformer=model, vae=vae(), scheduler=flow(shift=5.0), **none))


def picture() -> dict[str, Any]:
    """The first frame of the latent is the picture's; four are made as bright as the others in the end."""
    return words() | {"image": pil_picture(SIDE), "num_frames": 21}


CASES = [
    case("Kandinsky5T2VPipeline", build, words),
    case("Kandinsky5I2VPipeline", build, picture),
]
