"""What counts as a multiply-add: two conventions, by name, so that no figure stands without one.

`EVERYTHING` is ours. `PAPER` is that of DeepCache's tables (arXiv 2312.00858): it sees layers, not
operations, so attention's own products (queries by keys, weights by values) are missing from it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry, sdpa_flop_count

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


class UnknownKernelError(Exception):
    """A kernel has run whose multiply-adds nobody knows; the message names it."""


@contextmanager
def products(model: nn.Module) -> Iterator[Total]:
    """Count every matrix product and convolution, whoever makes it.

    Raises:
        UnknownKernelError: a kernel of another library has run, which torch's counter would take for nothing.
    """
    with FlopCounterMode(display=False) as counter, KernelWatch():
        yield lambda: counter.get_total_flops() // 2


EVERYTHING = Convention(
    "everything",
    "every matrix product and convolution, attention's own products included; norms and biases are none",
    products,
)


class KernelWatch(TorchDispatchMode):
    """Lets only kernels run whose multiply-adds are known."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no type for it

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not is_known(function):
            raise UnknownKernelError(f"nobody knows what {function._overloadpacket} multiplies")
        return function(*args, **(kwargs or {}))


def is_known(function: Any) -> bool:
    """Whether torch's counter tells the multiply-adds of a kernel, or it has none.

    torch's own kernels have none unless they are in its registry, but for some products of packed weights.
    """
    if function._overloadpacket in flop_registry:
        return True
    return function.namespace in WITHOUT_PRODUCTS and function._opname not in PACKED_PRODUCTS


# Libraries of torch itself: elementwise operations, views, communication.
WITHOUT_PRODUCTS = ("aten", "prim", "prims", "c10d", "_c10d_functional", "c10d_functional", "profiler")
PACKED_PRODUCTS = (
    *("_int_mm", "_weight_int8pack_mm", "_weight_int4pack_mm", "_weight_int4pack_mm_for_cpu"),
    *("_weight_int4pack_mm_with_scales_and_zeros", "_dyn_quant_matmul_4bit", "_cslt_sparse_mm"),
    *("_scaled_mm_v2", "_grouped_mm", "_scaled_grouped_mm", "_scaled_grouped_mm_v2", "_addmm_activation"),
    *("_sparse_semi_structured_linear", "_sparse_semi_structured_mm", "_sparse_semi_structured_addmm"),
)


class ByOperation(TorchDispatchMode):
    """Counts what `EVERYTHING` counts while a model computes: where shapes alone do not tell what it will do.

    It looks at operations only, not at modules, so it may stand around anybody's call.

    Attributes:
        total: the multiply-adds so far; None once a kernel has run of which nobody knows them.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no type for it
        self.total: int | None = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        count = FUSED_ATTENTION.get(function._overloadpacket) or flop_registry.get(function._overloadpacket)
        if count is None:
            with self:
                result = function.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = function(*args, **kwargs)
        if count is None and not is_known(function):
            self.total = None
        if count is not None and self.total is not None:
            self.total += count(*args, **kwargs, out_val=result) // 2
        return result


def attention_on_cpu(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query.shape, key.shape, value.shape))


# Of a kernel that torch's own counter does not know.
FUSED_ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention_on_cpu}


@contextmanager
def while_running(counts: bool = True) -> Iterator[Callable[[], int | None]]:
    """Count the operations of whatever runs within the block, or nothing; None where nobody can."""
    counter = ByOperation()
    with counter if counts else nullcontext():
        yield lambda: counter.total


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
