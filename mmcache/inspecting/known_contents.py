"""Let a model without memory see the contents of the few tensors that have them.

A forward that asks its mask how long a text is cannot run where everything is a shape. A mask of ones on the
CPU answers it; where it meets a tensor on the meta device, it becomes a shape as well.
"""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_any, tree_map_only


class KnownContents(TorchDispatchMode):
    """While it is entered, operations take tensors of the meta device and of the CPU together."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if tree_any(is_bare, (args, kwargs)):
            args, kwargs = tree_map_only(torch.Tensor, bare, (args, kwargs))
        return function(*args, **kwargs)


def is_bare(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.is_meta


def bare(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.is_meta else torch.empty_like(tensor, device="meta")
