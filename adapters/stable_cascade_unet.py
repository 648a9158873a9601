"""Stable Cascade: the U-Nets of its stages C (prior) and B (decoder)."""

from mmcache.extend import Adapter, LevelUNet, register

register(
    Adapter(
        name="Stable Cascade U-Net",
        denoisers=("StableCascadeUNet",),
        layout=LevelUNet(
            down="down_blocks",
            beside_down=("down_downscalers", "down_repeat_mappers"),
            up="up_blocks",
            beside_up=("up_repeat_mappers", "up_upscalers"),
        ),
        timestep="timestep_ratio",
    )
)
