"""U-Nets over one dimension: Dance Diffusion (waveforms) and the planners of Diffuser (trajectories)."""

from mmcache.extend import Adapter, LevelUNet, UNetCall, register

register(
    Adapter(
        name="waveform U-Net",
        denoisers=("UNet1DModel",),
        layout=LevelUNet(down="down_blocks", middle="mid_block", up="up_blocks"),
        example_call=UNetCall({"sample": "b c w"}),
    )
)
