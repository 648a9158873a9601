"""The classes of a model's layers: what is put on a class acts in every layer that is of it.

`Attention.forward = ...`, `AttnProcessor2_0.__call__ = ...`, `block.__class__ = ...` and another
`F.scaled_dot_product_attention` leave no trace on the layers themselves.
"""

from collections.abc import Iterable, Iterator
from operator import is_
from typing import Any

from torch import nn
from torch.nn import functional


class LayerClasses:
    """The classes of a model and of its layers, and the methods by which these compute."""

    def __init__(self, model: nn.Module) -> None:
        self._layers = list(model.modules())
        self._kinds = list(map(type, self._layers))
        self._methods = list(methods_of(self._layers))
        self._attention = functional.scaled_dot_product_attention

    def is_same(self) -> bool:
        """Whether the layers are of the same classes, and nobody has put anything on these."""
        return (
            all(getattr(kind, name) is method for kind, name, method in self._methods)
            and functional.scaled_dot_product_attention is self._attention
            and all(map(is_, map(type, self._layers), self._kinds))
        )


def methods_of(layers: Iterable[nn.Module]) -> Iterator[tuple[type, str, Any]]:
    """The forwards of layers' classes and the calls of their attention processors' classes."""
    processors = {type(getattr(layer, "processor", None)) for layer in layers}
    named = [(kind, "forward") for kind in set(map(type, layers))]
    named += [(kind, "__call__") for kind in processors if callable(kind) and kind is not type(None)]
    for kind, name in named:
        method = getattr(kind, name, None)
        if method is not None and getattr(kind, name) is method:  # some attributes are made anew each time
            yield kind, name, method
