"""Tensors that nobody may need: known by their shape, computed only if somebody does.

On a cached step only the residuals of the skip branch are computed by a side network. The others are handed
to the pipeline as deferred tensors: what it does to them (adding two ControlNets', zeros in front of those
of guess mode) is noted, not done. If the denoiser then has to run whole after all, they are computed.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map_only


class Deferred(torch.Tensor):
    """A tensor that has a shape, a dtype and a device, and a way to be computed."""

    compute: Callable[[], torch.Tensor]

    @staticmethod
    def __new__(cls, like: torch.Tensor, device: torch.device, compute: Callable[[], torch.Tensor]) -> Any:
        """
        Args:
            like: a tensor on the meta device, of the shape and dtype.
            device: where the computed tensor will be.
            compute: computes it; may be called more than once, for each tensor that was made from it.
        """
        tensor = torch.Tensor._make_wrapper_subclass(cls, like.shape, dtype=like.dtype, device=device)
        tensor.compute = compute
        return tensor

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Deferred({tuple(self.shape)}, {self.dtype}, {self.device})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Note an operation instead of doing it."""
        kwargs = kwargs or {}
        schema = function._schema
        written_to = schema.is_mutable and not isinstance(args[0], Deferred)
        if written_to or [str(returned.type) for returned in schema.returns] != ["Tensor"]:
            return function(*computed(args), **computed(kwargs))
        first = next(arg for arg in tree_leaves((args, kwargs)) if isinstance(arg, Deferred))
        device = kwargs.get("device") or first.device
        like = function(
            *on_meta(args), **on_meta(kwargs) | ({"device": "meta"} if "device" in kwargs else {})
        )
        then = frozen(args), frozen(kwargs)

        def compute() -> torch.Tensor:
            return function(*computed(then[0]), **computed(then[1]))

        if schema.is_mutable:  # such as +=: from now on this tensor is what it becomes
            args[0].compute = compute
            return args[0]
        return cls(like, device, compute)


def on_meta(tree: Any) -> Any:
    return tree_map_only(torch.Tensor, lambda t: torch.empty(t.shape, dtype=t.dtype, device="meta"), tree)


def frozen(tree: Any) -> Any:
    """The deferred tensors as they are now: an operation in place changes them later."""
    return tree_map_only(Deferred, lambda t: Deferred(on_meta(t), t.device, t.compute), tree)


def computed(tree: Any) -> Any:
    """With every deferred tensor in it computed."""
    return tree_map_only(Deferred, lambda tensor: tensor.compute(), tree)
