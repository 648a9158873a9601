"""Whether somebody has changed a model's weights or layers between two steps.

LoRA fused by hand, another checkpoint loaded, a step of an optimizer, layers pruned or exchanged: a kept
feature is that of the weights of before. torch counts how often a tensor was written, and only these counts
are compared, so that no device is waited for. It does not count what is written by `weight.data.mul_(2)`, as
weights that are swapped for their moving average are. On a CPU one number of a few weights shows it; on a GPU
it is not noticed.
"""

from itertools import chain
from operator import attrgetter, is_, itemgetter
from typing import Any

import torch
from torch import nn

FEW = 4  # weights of which a number is looked at
ON_LAYERS = ("_hf_hook", "_diffusers_hook")  # of offloading, which exchanges weights at every call
get_weight = itemgetter("weight")
count_writes = attrgetter("_version")


class Tables:
    """The tables in which torch keeps a model's parameters and layers; none of a model that is offloaded."""

    def __init__(self, model: nn.Module) -> None:
        # Traced and scripted modules have no tables of their own.
        modules = [one for one in model.modules() if isinstance(one._parameters, dict)]
        if any(name in vars(one) for one in modules if one is not model for name in ON_LAYERS):
            modules = []
        self._layers = [one._modules for one in modules if one._modules]
        self._with_weight: list[dict[str, Any]] = []
        self._others: list[dict[str, Any]] = []
        for parameters in filter(None, (one._parameters for one in modules)):
            group = self._others if parameters.get("weight") is None else self._with_weight
            group.append(parameters)

    def objects(self) -> list[Any]:
        """Weights, parameters of modules without one, and layers.

        Raises:
            KeyError: a module has its weight no more: it was pruned or parametrized.
        """
        return [
            *map(get_weight, self._with_weight),
            *chain.from_iterable(map(dict.values, self._others)),
            *chain.from_iterable(map(dict.values, self._layers)),
        ]

    def biases(self) -> list[Any]:
        """What modules have beside their weight."""
        return [one for table in self._with_weight for name, one in table.items() if name != "weight"]


class ModelWeights:
    """The layers and weights of a model as they were.

    Of each layer that has one, the `weight` is told by its object; of other modules all parameters and
    layers. Of all of them is told whether they are written. It takes some 25 microseconds for a hundred
    layers.

    Args:
        model: the model; one whose layers are offloaded is never found changed.
    """

    def __init__(self, model: nn.Module) -> None:
        self._tables = Tables(model)
        self._objects = self._tables.objects()
        self._counted = [one for one in (*self._objects, *self._tables.biases()) if is_counted(one)]
        self._counts = list(map(count_writes, self._counted))
        self._few = spread(self._counted, FEW)
        self._places = [weight.data_ptr() for weight in self._few]
        self._numbers = [
            weight.detach().flatten()[0] for weight in self._few if weight.is_cpu and is_plain_tensor(weight)
        ]
        self._values = [number.item() for number in self._numbers]

    def has_same_objects(self) -> bool:
        """Whether all weights and layers are the same objects, whatever is written in them."""
        try:
            now = self._tables.objects()
        except KeyError:
            return False
        return len(now) == len(self._objects) and all(map(is_, now, self._objects))

    def is_same(self) -> bool:
        """Whether all are the same objects, and nobody has written to a weight."""
        return (
            self.has_same_objects()
            and list(map(count_writes, self._counted)) == self._counts
            and [weight.data_ptr() for weight in self._few] == self._places
            and [number.item() for number in self._numbers] == self._values
        )


def spread(all_of: list[Any], count: int) -> list[Any]:
    """At most so many of a list, evenly spread."""
    return all_of[:: max(1, -(-len(all_of) // count))]


def is_plain_tensor(one: torch.Tensor) -> bool:
    """Whether its numbers lie one behind another; quantised ones may not."""
    plain = type(one) in (torch.Tensor, nn.Parameter) and one.is_contiguous()
    return plain and one.numel() > 0 and one.is_floating_point()


def is_counted(one: Any) -> bool:
    return isinstance(one, torch.Tensor) and not one.is_inference()
