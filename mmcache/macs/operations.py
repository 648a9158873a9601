"""The multiply-adds of single operations: counted while a model computes, or from shapes alone."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count


class UnknownKernelError(Exception):
    """A kernel has run whose multiply-adds nobody knows; the message names it."""


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


def attention_on_cpu(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query.shape, key.shape, value.shape))


# Of a kernel that torch's own counter does not know.
FUSED_ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention_on_cpu}


def count_of(function: Any) -> Callable[..., int] | None:
    """Gives the floating-point operations of a call of this kernel; None where it makes no product."""
    packet = function._overloadpacket
    return FUSED_ATTENTION.get(packet) or flop_registry.get(packet)


def decomposed(mode: TorchDispatchMode, function: Any, args: Any, kwargs: Any) -> Any:
    """A kernel's result by those it is made of, which the mode sees; NotImplemented of a whole one."""
    if function in _whole:
        return NotImplemented
    with mode:
        result = function.decompose(*args, **kwargs)
    if result is NotImplemented:  # whatever its arguments: torch has none for this kernel
        _whole.add(function)
    return result


_whole: set[Any] = set()


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
        count = count_of(function)
        if count is None and (result := decomposed(self, function, args, kwargs)) is not NotImplemented:
            return result
        result = function(*args, **kwargs)
        if count is None and not is_known(function):
            self.total = None
        if count is not None and self.total is not None:
            self.total += count(*args, **kwargs, out_val=result) // 2
        return result


@contextmanager
def while_running(counts: bool = True) -> Iterator[Callable[[], int | None]]:
    """Count the operations of whatever runs within the block, or nothing; None where nobody can."""
    counter = ByOperation()
    with counter if counts else nullcontext():
        yield lambda: counter.total


class ByShapes(TorchDispatchMode):
    """Counts the same of a call on the meta device, and remembers what operations return there.

    torch works shapes out in Python, which takes longer than a small model takes to compute. A model repeats
    few kinds of operations many times, and so do its steps.

    Attributes:
        total: the multiply-adds so far.

    Raises:
        UnknownKernelError: a kernel runs of which nobody knows them.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no type for it
        self.total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        key = call_key(function, args, kwargs)
        if key is not None and (known := _returned.get(key)) is not None:
            form, macs = known
            self.total += macs
            return made(form)
        count = count_of(function)
        if count is None:
            if (result := decomposed(self, function, args, kwargs)) is not NotImplemented:
                return result
            if not is_known(function):
                raise UnknownKernelError(f"nobody knows what {function._overloadpacket} multiplies")
        result = function(*args, **kwargs)
        macs = 0 if count is None else count(*args, **kwargs, out_val=result) // 2
        self.total += macs
        if key is not None and (form := form_of(result)) is not None:
            if len(_returned) >= MOST_REMEMBERED:
                _returned.clear()
            _returned[key] = form, macs
        return result


# By kernel and the form of its arguments: the form of what it returns, and its multiply-adds.
_returned: dict[Hashable, tuple[Any, int]] = {}
MOST_REMEMBERED = 20_000  # of about a kilobyte each; one model per file of tests/zoo leads to 4,900

PLAIN_TYPES = frozenset(
    (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool)
)
CONSTANTS = frozenset(
    (int, float, bool, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format)
)


def call_key(function: Any, args: Any, kwargs: Any) -> Hashable:
    """What the form of a kernel's result depends on; None of one whose result is more than a form.

    That is what returns a view, writes to its arguments, or has one that is no plain tensor without contents.
    """
    if function.is_view or function._schema.is_mutable:
        return None
    found: list[Any] = [function, torch.get_default_dtype()]
    if not (add_forms(args, found) and add_forms(kwargs.values(), found)):
        return None
    found += kwargs
    return tuple(found)


def add_forms(args: Any, found: list[Any]) -> bool:
    """Append the form of each argument; whether all have one."""
    for one in args:
        kind = type(one)
        if kind in (torch.Tensor, nn.Parameter):
            if not (one.is_meta and one.dtype in PLAIN_TYPES and one.layout is torch.strided):
                return False
            found += one.dtype, one.shape, one.stride()
        elif kind in CONSTANTS:
            found += kind, one
        elif kind in (list, tuple):
            found += kind, len(one)
            if not add_forms(one, found):
                return False
        else:
            return False
    return True


def form_of(result: Any) -> Any:
    """Shape, strides and type of a tensor without contents, or those of several; None of anything else."""
    if type(result) in (list, tuple):
        forms = [form_of(one) for one in result]
        return None if None in forms else forms
    if type(result) is not torch.Tensor or not result.is_meta or result.layout is not torch.strided:
        return None
    return result.shape, result.stride(), result.dtype


def made(form: Any) -> Any:
    """New tensors of this form."""
    if isinstance(form, list):
        return tuple(made(one) for one in form)
    shape, strides, kind = form
    return torch.empty_strided(shape, strides, dtype=kind, device="meta")
