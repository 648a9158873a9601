"""Let a model without memory see the contents of the few tensors that have them.

A forward that asks its mask how long a text is cannot run where everything is a shape. A mask of ones on the
CPU answers it; where it meets a tensor on the meta device, it becomes a shape as well.
"""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_any, tree_map_only

aten = torch.ops.aten
# An index stays as it is, whatever it is looked up in: how many rows a mask chooses is in its contents.
LOOKING_UP = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}


class KnownContents(TorchDispatchMode):
    """While it is entered, operations take tensors of the meta device and of the CPU together."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if tree_any(is_bare, (args, kwargs)):
            looked_up = args[1] if function in LOOKING_UP else None
            args, kwargs = tree_map_only(torch.Tensor, bare, (args, kwargs))
            if looked_up is not None:
                args = (args[0], looked_up, *args[2:])
        return function(*args, **kwargs)


def is_bare(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.is_meta


def bare(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.is_meta else torch.empty_like(tensor, device="meta")
