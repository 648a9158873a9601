"""python -m mmcache.measuring.controlnet_blocks: how many blocks of ControlNets a cached step runs.

Read off the cuts, at the depths that are the defaults of diffusers' classes where no others are given, so it
takes seconds and no weights. Prints the table of docs/controlnets.md.
"""

from collections.abc import Iterator
from typing import Any

import diffusers
import torch
import typer
from torch import nn

from mmcache.cuts.cut import Cut, Given, swapped
from mmcache.registry import adapter_for, side_adapter_for

HEADS: dict[str, Any] = {
    "num_attention_heads": 2,
    "attention_head_dim": 16,
}  # narrow: depth is all that matters
SMALL: dict[str, Any] = {"dim": 32, "n_heads": 2, "n_kv_heads": 2}
HUNYUAN: dict[str, Any] = HEADS | {
    "patch_size": 2,
    "in_channels": 4,
    "hidden_size": 32,
    "cross_attention_dim": 16,
    "cross_attention_dim_t5": 16,
}
FLUX: tuple[str, dict[str, Any]] = ("FluxTransformer2DModel", HEADS | {"axes_dims_rope": (4, 6, 6)})
SD3: tuple[str, dict[str, Any]] = ("SD3Transformer2DModel", HEADS | {"caption_projection_dim": 32})
Z_IMAGE: tuple[str, dict[str, Any]] = ("ZImageTransformer2DModel", SMALL | {"axes_dims": [4, 6, 6]})
PAIRS = [
    ("Hunyuan-DiT", "HunyuanDiT2DModel", HUNYUAN | {"num_layers": 40}, "HunyuanDiT2DControlNetModel", HUNYUAN),
    ("Sana", "SanaTransformer2DModel", HEADS, "SanaControlNetModel", HEADS),
    ("Cosmos Transfer", "CosmosTransformer3DModel", HEADS | {"controlnet_block_every_n": 7},
     "CosmosControlNetModel", HEADS | {"model_channels": 32}),
    ("SD3, 24 blocks", SD3[0], SD3[1] | {"num_layers": 24}, "SD3ControlNetModel", SD3[1] | {"num_layers": 12}),
    ("SD3, 38 blocks", SD3[0], SD3[1] | {"num_layers": 38}, "SD3ControlNetModel", SD3[1] | {"num_layers": 19}),
    ("Z-Image, every second block", *Z_IMAGE, "ZImageControlNetModel",
     SMALL | {"control_layers_places": list(range(0, 30, 2)), "control_in_dim": 4}),
    ("Z-Image, every fifth block", *Z_IMAGE, "ZImageControlNetModel",
     SMALL | {"control_layers_places": list(range(0, 30, 5)), "control_in_dim": 4}),
    ("Flux, no single blocks", *FLUX, "FluxControlNetModel", FLUX[1] | {"num_layers": 4, "num_single_layers": 0}),
    ("Flux", *FLUX, "FluxControlNetModel", FLUX[1] | {"num_layers": 4, "num_single_layers": 10}),
    ("Qwen-Image", "QwenImageTransformer2DModel", HEADS | {"axes_dims_rope": (4, 6, 6)},
     "QwenImageControlNetModel", HEADS | {"axes_dims_rope": (4, 6, 6), "num_layers": 5}),
]  # fmt: skip
VACE: list[tuple[str, dict[str, Any]]] = [
    ("Wan VACE", {}),
    ("Wan VACE, every second of 30 blocks", {"num_layers": 30, "vace_layers": list(range(0, 30, 2))}),
]


def main() -> None:
    """Print the table."""
    print("| | blocks of the ControlNet | branch 0 | branch 1 | branch 2 | branch 3 |")
    print("|---|---|---|---|---|---|")
    for title, blocks, needed in rows():
        print(
            f"| {title} | {blocks} | " + " | ".join("all" if n == blocks else str(n) for n in needed) + " |"
        )


def rows() -> Iterator[tuple[str, int, list[int]]]:
    """Of each pair its title, how many blocks the ControlNet has, and how many run at each branch."""
    for title, transformer, shape, network, narrow in PAIRS:
        denoiser, controlnet = build(transformer, shape), build(network, narrow)
        cuts = cuts_of(denoiser)
        yield title, residuals_there(controlnet), [residuals_of(cut, controlnet) for cut in cuts]
    for title, shape in VACE:
        denoiser = build("WanVACETransformer3DModel", HEADS | {"ffn_dim": 32} | shape)
        blocks: Any = denoiser.vace_blocks
        yield title, len(blocks), [still_there(denoiser, cut, "vace_blocks") for cut in cuts_of(denoiser)]


def build(name: str, shape: dict[str, Any]) -> nn.Module:
    """A model without weights."""
    with torch.device("meta"):
        model: nn.Module = getattr(diffusers, name)(**shape)
    return model


def cuts_of(denoiser: nn.Module) -> list[Cut]:
    adapter = adapter_for(denoiser)
    assert adapter is not None
    return [adapter.cut(denoiser, branch) for branch in range(adapter.branches(denoiser))]


def given_by(controlnet: nn.Module) -> Given:
    side = side_adapter_for(controlnet)
    given = None if side is None else side.given(controlnet)
    assert given is not None
    return given


def residuals_there(controlnet: nn.Module) -> int:
    return sum(len(keys) for keys in given_by(controlnet).keys)


def residuals_of(cut: Cut, controlnet: nn.Module) -> int:
    """How many residuals of a ControlNet a cached step needs."""
    assert cut.residuals is not None
    return cut.residuals(given_by(controlnet))


def still_there(denoiser: nn.Module, cut: Cut, name: str) -> int:
    """How many modules of a list run at a cached step."""
    before = set(getattr(denoiser, name))
    with swapped(cut.shrink):
        return sum(module in before for module in getattr(denoiser, name))


if __name__ == "__main__":
    typer.run(main)
