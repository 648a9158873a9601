"""ControlNets of U-Nets: the plain one, the union of several kinds of control, the sparse one for video."""

from mmcache.architectures.adapter import SideAdapter
from mmcache.architectures.registry import register
from mmcache.layouts.controlnet import cut

register(
    SideAdapter(
        name="ControlNet",
        networks=("ControlNetModel", "ControlNetUnionModel", "SparseControlNetModel"),
        cut=cut,
    )
)
