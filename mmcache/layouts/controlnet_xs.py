"""The cut of ControlNet-XS: a small control net inside the U-Net (Zavadski et al., arXiv 2312.06573).

The U-Net and the control net go down together and exchange what they find behind every layer; only the U-Net
goes up again. So one hidden state crosses the cut, as in every other U-Net.
"""

import functools
from typing import Any

import torch

from mmcache.layouts import skip_unet as unet
from mmcache.layouts.cut import Slot


class SlotOfTwo(Slot):
    """Stands in for a mid block that returns the hidden states of both nets; the second is not used."""

    def forward(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        return super().forward(*args, **kwargs), None


cut = functools.partial(unet.cut, make_slot=SlotOfTwo)
