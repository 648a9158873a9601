"""The cut of a ControlNet: on a cached step only the residuals that the skip branch uses are computed.

A ControlNet is the down path of a U-Net with a zero convolution behind every skip connection (Zhang et al.,
arXiv 2302.05543, section 3.2). The skip branch of a cached step uses the residuals of its own skip
connections only (one of thirteen at branch 0 of Stable Diffusion), so the rest of the ControlNet is left
out without any error.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mmcache.layouts.cut import Given
from mmcache.layouts.unet_blocks import downsamplers, layers_of, shorten, skips
from mmcache.patching.swap import Swap, swap_child


class NotComputed(nn.Module):
    """Stands where the deep blocks stood: hands over a placeholder for each of their skip connections.

    The number of residuals stays the same (guess mode scales them by how many there are); a placeholder is
    a single zero.
    """

    def __init__(self, skips: int | None) -> None:
        super().__init__()
        self.skips = skips  # None: in place of the mid block, which has no skip connections

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        placeholder = hidden_states.new_zeros(1, 1, 1, 1)
        return placeholder if self.skips is None else (placeholder, (placeholder,) * self.skips)


@dataclass(frozen=True)
class SideUNet:
    """The layout of ControlNets that are the down path of a U-Net."""

    def given(self, model: nn.Module) -> Given:
        """Residuals of which the denoiser takes as many as it has skip connections: it has no other rule."""
        return Given(())

    def cut(self, model: nn.Module, residuals: int) -> tuple[Swap, ...]:
        """Leave only what the first `residuals` residuals need; the others become placeholders.

        Raises:
            ValueError: the model has fewer residuals.
        """
        found = skips(model)
        if not 1 <= residuals <= len(found):
            raise ValueError(f"{residuals} residuals of a {type(model).__name__} that has {len(found)}")
        last = found[residuals - 1]
        down = list(model.down_blocks)  # type: ignore[arg-type]
        zero_convolutions = list(model.controlnet_down_blocks)  # type: ignore[arg-type]
        left_out = len(found) - residuals
        kept = nn.ModuleList([*down[: last.block + 1], NotComputed(left_out)])
        unused = [nn.Identity() for _ in range(left_out)]
        shrink = [
            swap_child(model, "down_blocks", kept),
            swap_child(
                model, "controlnet_down_blocks", nn.ModuleList([*zero_convolutions[:residuals], *unused])
            ),
            swap_child(model, "mid_block", NotComputed(None)),
            swap_child(model, "controlnet_mid_block", nn.Identity()),
        ]
        if last.block >= 0:
            block = down[last.block]
            if last.layers < layers_of(block):
                shrink += shorten(block, 0, last.layers)
            if not last.downsampled:
                shrink += [swap_child(block, name, None) for name in downsamplers(block)]
        return tuple(shrink)
