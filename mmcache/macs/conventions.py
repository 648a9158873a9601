"""What counts as a multiply-add: two conventions, by name, so that no figure stands without one.

`EVERYTHING` is ours. `PAPER` is that of DeepCache's tables (arXiv 2312.00858): it sees layers, not
operations, so attention's own products (queries by keys, weights by values) are missing from it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from mmcache.macs.operations import ByShapes

Total = Callable[[], int]
"""The multiply-adds so far."""


@dataclass(frozen=True)
class Convention:
    """One way of counting.

    Attributes:
        name: how tables and JSON call it.
        counts: what it counts, in words.
        counting: counts what a model runs within a block.
    """

    name: str
    counts: str
    counting: Callable[[nn.Module], AbstractContextManager[Total]]


@contextmanager
def products(model: nn.Module) -> Iterator[Total]:
    """Count every matrix product and convolution, whoever makes it.

    Raises:
        UnknownKernelError: a kernel of another library has run, which torch's counter would take for nothing.
    """
    with ByShapes() as counter:
        yield lambda: counter.total


EVERYTHING = Convention(
    "everything",
    "every matrix product and convolution, attention's own products included; norms and biases are none",
    products,
)


# A rule is given a layer and what it returned.
Rule = Callable[[Any, torch.Tensor], int]


def convolution(layer: Any, returned: torch.Tensor) -> int:
    """A bias is one more multiply-add for each number that comes out."""
    positions = returned.numel() // int(layer.out_channels)
    return positions * int(layer.weight.numel()) + (returned.numel() if layer.bias is not None else 0)


def linear(layer: Any, returned: torch.Tensor) -> int:
    """Its bias is counted once, however many tokens there are: so the published program does it."""
    outputs = int(layer.out_features)
    tokens = returned.numel() // outputs
    return tokens * int(layer.weight.numel()) + (outputs if layer.bias is not None else 0)


def norm(layer: Any, returned: torch.Tensor) -> int:
    return returned.numel() * (1 if layer.weight is None else 2)


def activation(layer: Any, returned: torch.Tensor) -> int:
    return returned.numel()


RULES: Mapping[type[nn.Module], Rule] = {
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), convolution),
    **dict.fromkeys((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), convolution),
    nn.Linear: linear,
    **dict.fromkeys((nn.GroupNorm, nn.LayerNorm), norm),
    # SiLU is not among them.
    **dict.fromkeys((nn.ReLU, nn.PReLU, nn.ELU, nn.LeakyReLU, nn.ReLU6, nn.GELU), activation),
}


def paper_convention(overlooked: Sequence[str] = ()) -> Convention:
    """Multiply-adds of layers, by forward hooks, as the program that came with the paper counts them.

    Source: DeepCache/flops.py in github.com/horseee/DeepCache, first commit.

    Args:
        overlooked: patterns of names of layers that the authors' program did not see in their code. It looks
            layers up by their exact class, so a subclass counts nothing.
    """

    @contextmanager
    def counting(model: nn.Module) -> Iterator[Total]:
        counted: list[int] = []

        def hook(layer: nn.Module, args: Any, returned: Any) -> None:
            counted.append(RULES[type(layer)](layer, returned))

        hooks = [
            layer.register_forward_hook(hook)
            for name, layer in model.named_modules()
            if type(layer) in RULES and not any(fnmatchcase(name, pattern) for pattern in overlooked)
        ]
        try:
            yield lambda: sum(counted)
        finally:
            for handle in hooks:
                handle.remove()

    return Convention(
        "paper",
        "convolutions and linear layers with their biases, and norms; attention's own products are missing",
        counting,
    )


PAPER = paper_convention()
