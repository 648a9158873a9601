"""Outputs of a denoiser as features: taken apart to be kept, put together again from a forecast.

On a cached step that keeps nothing of the model no layer runs. What the denoiser would have returned is
forecast from what it returned on the last full steps, lane by lane.
"""

from typing import Any, NamedTuple

import torch
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_unflatten

from mmcache.macs.count import is_store
from mmcache.plans.forecast import Feature

PLAIN = (bool, int, float, str, type(None))  # what may stand beside the tensors of an output


class OutputForm(NamedTuple):
    """What an output looks like: how its tensors are put together, and of which kind they are.

    Attributes:
        structure: a tuple, a list, an output of diffusers, or a tensor alone.
        beside: what else is in it; None where a tensor stands.
        kinds: shape, type and device of each tensor.
    """

    structure: TreeSpec
    beside: tuple[Any, ...]
    kinds: tuple[Any, ...]

    def put_together(self, feature: Feature) -> Any:
        """An output of this form with other tensors."""
        tensors = iter(feature)
        leaves = [next(tensors) if leaf is TENSOR else leaf for leaf in self.beside]
        return tree_unflatten(leaves, self.structure)


TENSOR = object()  # where a tensor stands in an output


def take_apart(output: Any) -> tuple[OutputForm | None, Feature]:
    """The form of an output and copies of its tensors; (None, ()) for one that cannot be forecast.

    That is one with something beside floating-point tensors and plain values, such as a store of keys.
    """
    leaves, structure = tree_flatten(output)
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    beside = tuple(TENSOR if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves)
    plain = all(leaf is TENSOR or isinstance(leaf, PLAIN) for leaf in beside)
    if not tensors or not plain or not all(tensor.is_floating_point() for tensor in tensors):
        return None, ()
    kinds = tuple((tensor.shape, tensor.dtype, tensor.device) for tensor in tensors)
    # Copies: samplers may write to what they are given, and CUDA graphs use their memory again.
    return OutputForm(structure, beside, kinds), tuple(tensor.detach().clone() for tensor in tensors)


def is_answered_by_output(arguments: dict[str, Any]) -> bool:
    """Whether a call does nothing but return its output: it is not given a store to write to."""
    return not any(is_store(leaf) for leaf in tree_leaves(arguments))
