"""A denoiser at a branch, drawn: a U-Net as a U, a transformer as a stack."""

from torch import nn

from mmcache.layouts.cut import check_branch
from mmcache.tools.inspecting.inspection import Inspection
from mmcache.tools.inspecting.stack_drawing import draw_stack
from mmcache.tools.inspecting.u_drawing import draw_u


def draw(model: nn.Module, found: Inspection, branch: int, titled: bool = True) -> bytes:
    """A PNG of it, with its heading unless whoever shows it has that elsewhere.

    Raises:
        ValueError: the denoiser has no such branch, or its blocks form neither a U nor a stack.
    """
    check_branch(model, branch, len(found.branches))
    if found.branches[branch].parts:
        return draw_stack(found, branch, titled)
    return draw_u(model, found, branch, titled)
