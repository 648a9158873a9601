"""ControlNets of U-Nets: the plain one, the union of several kinds of control, the sparse one for video."""

from mmcache.adapter import SideAdapter
from mmcache.cuts.controlnet import cut
from mmcache.registry import register

register(
    SideAdapter(
        name="ControlNet",
        networks=("ControlNetModel", "ControlNetUnionModel", "SparseControlNetModel"),
        cut=cut,
    )
)
