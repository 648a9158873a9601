"""Whether a cut that nobody has described is right: shown on a real call before anything is cached.

Right behind a full step, a cached one is computed on the same input. It has to give the same output bit for
bit (the first law of `mmcache.testing`); if it does not, every step is full. So it is where the model keeps
something from call to call: on a cached step the deep blocks would not keep it.
"""

import warnings
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map_only

from mmcache.compat.group_offload import bring_ahead, kept_groups
from mmcache.layouts.cut import Cut, cached
from mmcache.macs.count import is_store
from mmcache.plans.forecast import Feature


class Proof:
    """What was shown of one denoiser's cuts.

    Attributes:
        needed: False for a class that an adapter describes: there the laws are tests.
        refuted: why nothing is cached; "" as long as nothing speaks against it.
        shown: the signatures of the calls that it was shown for.
    """

    def __init__(self, needed: bool) -> None:
        self.needed = needed
        self.refuted = ""
        self._before: dict[tuple[int, str], tuple[int, int]] = {}
        self.shown: set[Hashable] = set()

    def begin(self, model: nn.Module, call: dict[str, Any]) -> dict[str, Any]:
        """Before a full step: remember how the model is.

        Returns:
            The arguments once more, in case that the model changes them.
        """
        self._before = kept_by(model)
        if any(is_store(leaf) for leaf in tree_leaves(call)):
            self.refute("it is given a store that lives from call to call")
        return tree_map_only(torch.Tensor, torch.clone, call)

    def refute(self, why: str) -> None:
        """Cache nothing more."""
        self.refuted = why
        warnings.warn(f"every step is full: {why}", stacklevel=2)

    def missing(self, signature: Hashable) -> bool:
        """Whether a call with this signature is the first of its kind."""
        return self.needed and not self.refuted and signature not in self.shown

    def show(
        self,
        signature: Hashable,
        model: nn.Module,
        features: Mapping[Cut, Feature],
        forward: Callable[..., Any],
        call: dict[str, Any],
        result: Any,
    ) -> None:
        """Compute a cached step on the input of a full one, and compare.

        Args:
            signature: of the call.
            model: the denoiser.
            features: what the full step left, by cut.
            forward: the model's.
            call: the arguments of the full step, by name, as `begin` gave them.
            result: what it returned.
        """
        if kept_by(model) != self._before:
            self.refute("the model keeps something from call to call")
        if self.refuted:
            return
        for cut, feature in features.items():
            try:
                bring_ahead(model)
                smaller = kept_groups(model, cut.shrink).within(cached(cut, feature))
                with undrawn(result), smaller:
                    again = forward(**cut.arguments(call))
                found = difference(result, again)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # whatever a foreign forward raises when it is made smaller
                found = f"a cached step fails with {type(error).__name__}: {error}"
            if found:
                self.refute(f"cutting it at branch {cut.branch} is not right, on the same input {found}")
                return
        self.shown.add(signature)


def kept_by(model: nn.Module) -> dict[tuple[int, str], tuple[int, int]]:
    """What the modules have as attributes and buffers: which objects, and how often tensors were written."""
    return {
        (id(module), name): (id(value), getattr(value, "_version", 0))
        for module in model.modules()
        for name, value in (*vars(module).items(), *module._buffers.items())
    }


def undrawn(result: Any) -> Any:
    """Within it, random numbers that are drawn are drawn again afterwards."""
    devices = {leaf.device for leaf in tree_leaves(tensors_in(result)) if leaf.is_cuda}
    return torch.random.fork_rng(devices=sorted(devices, key=str))


def tensors_in(result: Any) -> list[torch.Tensor]:
    """The tensors that a model returns, in a tuple, a list or an output of diffusers."""
    leaves = tree_leaves(tuple(result.values()) if hasattr(result, "values") else result)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def difference(result: Any, again: Any) -> str:
    """In what two results differ, in words; "" if they are equal bit for bit."""
    one, other = tensors_in(result), tensors_in(again)
    if not one:
        return f"there is nothing to compare in a {type(result).__name__}"
    if [tensor.shape for tensor in one] != [tensor.shape for tensor in other]:
        return "a cached step returns other shapes"
    off = [(a.float() - b.float()).abs().max().item() for a, b in zip(one, other, strict=True)]
    return "" if not any(off) else f"a cached step differs by up to {max(off):.3g}"
