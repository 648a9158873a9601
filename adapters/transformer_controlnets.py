"""ControlNets of transformers."""

from typing import Any

from mmcache.architectures.adapter import SideAdapter
from mmcache.architectures.registry import register
from mmcache.layouts.side_stack import SideStack

PAIRS_AND_SINGLES = ("transformer_blocks", "single_transformer_blocks")


def controlnet(network: str, stack: SideStack, **more: Any) -> None:
    name = f"{network.removesuffix('Model').replace('ControlNet', '')} ControlNet"
    told: dict[str, Any] = {"sample": "hidden_states"} | more
    register(SideAdapter(name, (network,), stack.cut, given=stack.given, **told))


controlnet("FluxControlNetModel", SideStack(PAIRS_AND_SINGLES, repeated="input_hint_block"))
controlnet("SD3ControlNetModel", SideStack(("transformer_blocks",)))
controlnet("QwenImageControlNetModel", SideStack(("transformer_blocks",)))
controlnet("SanaControlNetModel", SideStack(("transformer_blocks",)))
controlnet("HunyuanDiT2DControlNetModel", SideStack(("blocks",)))
controlnet("CosmosControlNetModel", SideStack(("control_blocks",)), sample="latents")
# Its refiner may run the same blocks once before, all of them.
TWICE = {"add_control_noise_refiner": "control_layers"}
Z_IMAGE = SideStack(("control_layers",), keys="control_layers_places", whole_if=TWICE)
controlnet("ZImageControlNetModel", Z_IMAGE, sample="x", timestep="t")
