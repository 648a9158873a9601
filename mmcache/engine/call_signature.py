"""What the arguments of a denoiser call tell: their signature, the latent, whether it is differentiated."""

from collections.abc import Hashable
from typing import Any

import torch
from torch import nn
from torch.autograd import forward_ad
from torch.utils._pytree import tree_leaves

from mmcache.macs.count import is_store

STORE_DEPTH = 2  # how deep stores in stores are looked into; objects may refer to themselves


def call_signature(call: dict[str, Any]) -> Hashable:
    """The signature of a call's arguments: shapes, types and devices, and how switches stand."""
    return tuple(map(signature_of, call.values()))


def signature_of(value: Any, depth: int = STORE_DEPTH) -> Hashable:
    """Of a tensor its shape, type and device; of a switch or a mode how it stands; of a number, which may be
    a scale, only that it is one; of a pipeline's own store of keys and values, all this of what it has.
    """
    if isinstance(value, torch.Tensor):
        return value.shape, value.dtype, value.device
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, dict):
        return tuple((key, signature_of(entry, depth)) for key, entry in value.items())
    if isinstance(value, list | tuple):
        return tuple(signature_of(entry, depth) for entry in value)
    if not is_store(value) or depth == 0:
        return type(value).__name__
    return type(value).__name__, tuple(
        (name, tuple(signature_of(leaf, depth - 1) for leaf in tree_leaves(entry)))
        for name, entry in sorted(vars(value).items())
    )


def first_tensor(value: Any) -> torch.Tensor:
    """The tensor that a denoiser is given or returns, with `return_dict` or without; the first of a list."""
    if isinstance(value, torch.Tensor):
        return value
    return first_tensor(value.sample if hasattr(value, "sample") else value[0])


def wants_gradients(model: nn.Module, arguments: dict[str, Any]) -> bool:
    """Calls that are differentiated (Attend-and-Excite, training) run whole and are no step of their own.

    Whatever the mode: in eval mode too weights may be trained (LoRA), and `torch.func` or forward-mode
    differentiation need no weight that wants gradients. Within `torch.no_grad()` nothing more is looked at.
    """
    if torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0:
        return True
    return torch.is_grad_enabled() and (
        any(isinstance(leaf, torch.Tensor) and leaf.requires_grad for leaf in tree_leaves(arguments))
        or any(weight.requires_grad for weight in model.parameters())
    )
