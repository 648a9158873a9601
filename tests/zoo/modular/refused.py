"""Families that have nothing to tell the steps by, or that keep keys and values in every block."""

from typing import Any

from diffusers import LTX2VideoTransformer3DModel, WanAnimate2Transformer3DModel

from tests.zoo.modular.parts import case
from tests.zoo.random_weights import lively
from tests.zoo.transformers import ltx2
from tests.zoo.transformers.parts import flow

ANIMATED = {
    "dim": 24,
    "num_heads": 2,
    "ffn_dim": 32,
    "freq_dim": 16,
    "text_dim": 16,
    "num_layers": 5,
    "use_img_emb": False,
}


def of_echo() -> dict[str, Any]:
    return {"transformer": lively(0, lambda: LTX2VideoTransformer3DModel(**ltx2.SHAPE))}


def of_animate() -> dict[str, Any]:
    return {"transformer": lively(0, lambda: WanAnimate2Transformer3DModel(**ANIMATED)), "scheduler": flow()}


def never(pipe: Any, guided: bool, **inputs: Any) -> Any:
    raise AssertionError("it is refused")


CASES = [
    case("EchoModularPipeline", of_echo, dict, family="video", sample=never, refused="has no scheduler"),
    case(
        "WanAnimate2ModularPipeline",
        of_animate,
        dict,
        family="video",
        sample=never,
        refused="keeps keys and values",
    ),
]
