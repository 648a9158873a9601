"""Tensors that nobody may need: known by their shape, computed only if somebody does.

On a cached step only the residuals of the skip branch are computed by a side network. The others are handed
to the pipeline as deferred tensors: what it does to them (adding two ControlNets', zeros in front of those
of guess mode) is noted, not done. If the denoiser then has to run whole after all, they are computed.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map_only


class LazyTensor(torch.Tensor):
    """A tensor that has a shape, a dtype and a device, and a way to be computed."""

    compute: Callable[[], torch.Tensor]
    value: torch.Tensor | None

    @staticmethod
    def __new__(cls, like: torch.Tensor, device: torch.device, compute: Callable[[], torch.Tensor]) -> Any:
        """
        Args:
            like: a tensor on the meta device, of the shape and dtype.
            device: where the computed tensor will be.
            compute: computes it; may be called more than once, for each tensor that was made from it.
        """
        tensor = torch.Tensor._make_wrapper_subclass(cls, like.shape, dtype=like.dtype, device=device)
        tensor.compute, tensor.value = compute, None
        return tensor

    def __repr__(self) -> str:  # type: ignore[override]
        return f"LazyTensor({tuple(self.shape)}, {self.dtype}, {self.device})"

    def now(self) -> torch.Tensor:
        """Computed, once; what is written to it afterwards stays."""
        if self.value is None:
            self.value = self.compute().clone()
        return self.value

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Note an operation instead of doing it, where it gives a new tensor or changes a deferred one.

        Views, numbers and whatever writes elsewhere are made of the computed tensor.
        """
        kwargs = kwargs or {}
        schema = function._schema
        changes = schema.is_mutable and isinstance(args[0], LazyTensor) and args[0].value is None
        gives = [str(returned.type) for returned in schema.returns] == ["Tensor"]
        aliases = any(returned.alias_info is not None for returned in schema.returns)
        if not gives or "out" in kwargs or (aliases and not changes):
            result = function(*materialize(args), **materialize(kwargs))
            return args[0] if schema.is_mutable and isinstance(args[0], LazyTensor) else result
        first = next(arg for arg in tree_leaves((args, kwargs)) if isinstance(arg, LazyTensor))
        device = kwargs.get("device") or first.device
        like = function(
            *on_meta(args), **on_meta(kwargs) | ({"device": "meta"} if "device" in kwargs else {})
        )
        then = as_they_are(args), as_they_are(kwargs)

        def compute() -> torch.Tensor:
            value: torch.Tensor = function(*materialize(then[0]), **materialize(then[1]))
            return value

        if changes:  # such as +=: from now on this tensor is what it becomes
            args[0].compute = compute
            return args[0]
        return cls(like, device, compute)


def on_meta(tree: Any) -> Any:
    return tree_map_only(torch.Tensor, lambda t: torch.empty(t.shape, dtype=t.dtype, device="meta"), tree)


def as_they_are(tree: Any) -> Any:
    """The tensors as they are now, whatever is written to them later."""

    def kept(tensor: torch.Tensor) -> torch.Tensor:
        if isinstance(tensor, LazyTensor) and tensor.value is None:
            later: torch.Tensor = LazyTensor(on_meta(tensor), tensor.device, tensor.compute)
            return later
        now: torch.Tensor = materialize(tensor)
        return now.clone()

    return tree_map_only(torch.Tensor, kept, tree)


def materialize(tree: Any) -> Any:
    """With every lazy tensor in it computed."""
    return tree_map_only(LazyTensor, lambda tensor: tensor.now(), tree) if holds_lazy(tree) else tree


def materialized_call(forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call as it came, with every lazy tensor computed."""
    return forward(*materialize(args), **materialize(kwargs))


def holds_lazy(tree: Any) -> bool:
    """Whether there is a lazy tensor in the containers that arguments come in; looked at in every call."""
    if isinstance(tree, dict):
        return any(map(holds_lazy, tree.values()))
    if isinstance(tree, list | tuple):
        return any(map(holds_lazy, tree))
    return isinstance(tree, LazyTensor)
