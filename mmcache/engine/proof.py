"""Whether a cut that nobody has described is right: shown on a real call before anything is cached.

Right behind a full step, a cached one is computed on the same input. It has to give the same output bit for
bit (the first law of `mmcache.testing`); if it does not, every step is full.
"""

import warnings
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from mmcache.cuts.cut import Cut, Feature, cached


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
        self.shown: set[Hashable] = set()

    def missing(self, signature: Hashable) -> bool:
        """Whether a call with this signature is the first of its kind."""
        return self.needed and not self.refuted and signature not in self.shown

    def show(
        self,
        signature: Hashable,
        features: Mapping[Cut, Feature],
        forward: Callable[..., Any],
        call: dict[str, Any],
        result: Any,
    ) -> None:
        """Compute a cached step on the input of a full one, and compare.

        Args:
            signature: of the call.
            features: what the full step left, by cut.
            forward: the model's.
            call: the arguments of the full step, by name.
            result: what it returned.
        """
        for cut, feature in features.items():
            try:
                with undrawn(result), cached(cut, feature):
                    again = forward(**cut.arguments(call))
                found = difference(result, again)
            except Exception as error:  # whatever a foreign forward raises when it is made smaller
                found = f"a cached step fails with {type(error).__name__}: {error}"
            if found:
                self.refuted = f"cutting it at branch {cut.branch} is not right, on the same input {found}"
                warnings.warn(f"every step is full: {self.refuted}", stacklevel=2)
                return
        self.shown.add(signature)


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
    if [tensor.shape for tensor in one] != [tensor.shape for tensor in other]:
        return "a cached step returns other shapes"
    off = [(a.float() - b.float()).abs().max().item() for a, b in zip(one, other, strict=True)]
    return "" if not any(off) else f"a cached step differs by up to {max(off):.3g}"
