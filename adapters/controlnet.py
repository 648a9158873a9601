"""ControlNets of U-Nets: the plain one, the union of several kinds of control, the sparse one for video."""

from mmcache.extend import SideAdapter, SideUNet, register

NETWORKS = ("ControlNetModel", "ControlNetUnionModel", "SparseControlNetModel")

register(SideAdapter("ControlNet", NETWORKS, SideUNet()))
