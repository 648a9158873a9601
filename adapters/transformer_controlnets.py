"""ControlNets of transformers."""

from mmcache.extend import SideAdapter, SideStack, register

BLOCKS = SideStack(("transformer_blocks",))
# Its refiner may run the same blocks once before, all of them.
Z_IMAGE = SideStack(
    ("control_layers",),
    keys="control_layers_places",
    whole_if={"add_control_noise_refiner": "control_layers"},
)
NETWORKS = {
    "FluxControlNetModel": SideStack(
        ("transformer_blocks", "single_transformer_blocks"), repeated="input_hint_block"
    ),
    "SD3ControlNetModel": BLOCKS,
    "QwenImageControlNetModel": BLOCKS,
    "SanaControlNetModel": BLOCKS,
    "HunyuanDiT2DControlNetModel": SideStack(("blocks",)),
    "CosmosControlNetModel": SideStack(("control_blocks",)),
    "ZImageControlNetModel": Z_IMAGE,
}
SAMPLES = {"CosmosControlNetModel": "latents", "ZImageControlNetModel": "x"}
TIMESTEPS = {"ZImageControlNetModel": "t"}

for network, layout in NETWORKS.items():
    name = f"{network.removesuffix('Model').replace('ControlNet', '')} ControlNet"
    sample, timestep = SAMPLES.get(network, "hidden_states"), TIMESTEPS.get(network, "timestep")
    register(SideAdapter(name, (network,), layout, sample, timestep))
