"""Multiply-adds of a denoiser call, counted without computing anything.

The call is repeated on fake tensors (shapes only) under torch's flop counter. Attention is counted in
full, query-key and attention-value products included, whichever kernel runs it: torch's counter does not
know the fused CPU kernel, so its formula is added here.
"""

from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from mmcache.cut import Cut, cached, tapped


def cpu_attention_flops(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
    """From shapes (batch, heads, tokens, channels)."""
    return sdpa_flop_count(query, key, value)


FORMULAS = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: cpu_attention_flops}


class Shapes:
    """The arguments of one denoiser call with every tensor replaced by a fake one, which has no memory."""

    def __init__(self, call: dict[str, Any]) -> None:
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.call = tree_map_only(torch.Tensor, self.mode.from_tensor, call)


def count_macs(model: nn.Module, shapes: Shapes, cut: Cut | None = None) -> int | None:
    """Multiply-adds of one call: of the whole model, or of the skip branch of `cut`.

    Returns None where the weights are not in the model (sequential CPU offload keeps them elsewhere and
    loads them layer by layer), since the call would load them all.
    """
    if any(parameter.is_meta for parameter in model.parameters()):
        return None
    forward = type(model).forward
    counter = FlopCounterMode(display=False, custom_mapping=FORMULAS)
    with shapes.mode, torch.no_grad():
        if cut is None:
            with counter:
                forward(model, **shapes.call)
        else:
            with tapped([cut]):
                forward(model, **shapes.call)
            with cached(cut, cut.tap.take()), counter:
                forward(model, **cut.arguments(shapes.call))
    return counter.get_total_flops() // 2
