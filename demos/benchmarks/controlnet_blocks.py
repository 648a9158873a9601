"""python -m mmcache_demos.benchmarks.controlnet_blocks: how many blocks of ControlNets a cached step runs.

Read off the cuts, at the depths that are the defaults of diffusers' classes where no others are given, so it
takes seconds and no weights. Prints the table of docs/controlnets.md.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import diffusers
import torch
import typer
from torch import nn

from mmcache.architectures.registry import adapter_for, side_adapter_for
from mmcache.layouts.cut import Cut, Given

HEADS: dict[str, Any] = {"num_attention_heads": 2, "attention_head_dim": 16}  # narrow: only depth matters


class Pair(NamedTuple):
    """A transformer and its ControlNet.

    Attributes:
        title: of its line in the table.
        classes: of both, by name in diffusers.
        both: the config that they share.
        transformer, network: the config of each.
    """

    title: str
    classes: tuple[str, str]
    both: dict[str, Any]
    transformer: dict[str, Any]
    network: dict[str, Any]


FLUX = ("FluxTransformer2DModel", "FluxControlNetModel")
SD3 = ("SD3Transformer2DModel", "SD3ControlNetModel")
Z_IMAGE = ("ZImageTransformer2DModel", "ZImageControlNetModel")
OF_HUNYUAN = {"patch_size": 2, "in_channels": 4, "hidden_size": 32}
OF_HUNYUAN |= {"cross_attention_dim": 16, "cross_attention_dim_t5": 16}
OF_SD3 = HEADS | {"caption_projection_dim": 32}
OF_Z_IMAGE = {"dim": 32, "n_heads": 2, "n_kv_heads": 2}
AXES = {"axes_dims_rope": (4, 6, 6)}


def z_image(title: str, every: int) -> Pair:
    places = {"control_layers_places": list(range(0, 30, every)), "control_in_dim": 4}
    return Pair(f"Z-Image, {title}", Z_IMAGE, OF_Z_IMAGE, {"axes_dims": [4, 6, 6]}, places)


PAIRS = (
    Pair(
        "Hunyuan-DiT",
        ("HunyuanDiT2DModel", "HunyuanDiT2DControlNetModel"),
        HEADS | OF_HUNYUAN,
        {"num_layers": 40},
        {},
    ),
    Pair("Sana", ("SanaTransformer2DModel", "SanaControlNetModel"), HEADS, {}, {}),
    Pair(
        "Cosmos Transfer",
        ("CosmosTransformer3DModel", "CosmosControlNetModel"),
        HEADS,
        {"controlnet_block_every_n": 7},
        {"model_channels": 32},
    ),
    Pair("SD3, 24 blocks", SD3, OF_SD3, {"num_layers": 24}, {"num_layers": 12}),
    Pair("SD3, 38 blocks", SD3, OF_SD3, {"num_layers": 38}, {"num_layers": 19}),
    z_image("every second block", 2),
    z_image("every fifth block", 5),
    Pair("Flux, no single blocks", FLUX, HEADS | AXES, {}, {"num_layers": 4, "num_single_layers": 0}),
    Pair("Flux", FLUX, HEADS | AXES, {}, {"num_layers": 4, "num_single_layers": 10}),
    Pair(
        "Qwen-Image",
        ("QwenImageTransformer2DModel", "QwenImageControlNetModel"),
        HEADS | AXES,
        {},
        {"num_layers": 5},
    ),
)
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
    for pair in PAIRS:
        denoiser = build(pair.classes[0], pair.both | pair.transformer)
        controlnet = build(pair.classes[1], pair.both | pair.network)
        needed = [residuals_of(cut, controlnet) for cut in cuts_of(denoiser)]
        yield pair.title, residuals_there(controlnet), needed
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
    needed = None if cut.residuals is None else cut.residuals(given_by(controlnet))
    assert needed is not None
    return needed


def still_there(denoiser: nn.Module, cut: Cut, name: str) -> int:
    """How many modules of a list run at a cached step."""
    before = set(getattr(denoiser, name))
    return len(before & cut.remaining(denoiser))


if __name__ == "__main__":
    typer.run(main)
