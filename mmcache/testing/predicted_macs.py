"""What the cut predicts that a cached step takes, counted from what it leaves out."""

from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmcache.architectures.adapter import Adapter
from mmcache.layouts.cut import Cut, cached_view, filled, full_view
from mmcache.macs.count import count_macs, shapes_of, skip_branch
from mmcache.macs.operations import while_running
from mmcache.testing.probes import copied


def macs_of_call(model: nn.Module, adapter: Adapter, call: dict[str, Any], branch: int | None) -> int | None:
    """Multiply-adds of a call at a branch (None: full); None where they cannot be counted."""
    if not adapter.data_dependent:
        smaller = None if branch is None else skip_branch(adapter.cut, branch)
        return count_macs(model, shapes_of(call), smaller)
    if branch is None:
        with while_running() as total:
            model(**copied(call))
        return total()
    cut = adapter.cut(model, branch)
    full_view(model, [cut]).module(**copied(call))
    with filled(cut.slot, cut.tap.take()), while_running() as total:
        cached_view(model, cut).module(**cut.arguments(copied(call)))
    return total()


def macs_by_module(model: nn.Module, call: dict[str, Any]) -> dict[nn.Module, int]:
    """Multiply-adds of every module in a full call, its children's included."""
    names = {module: f"{type(model).__name__}.{name}" for name, module in model.named_modules()}
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    counter = FlopCounterMode(display=False)
    model.requires_grad_(False)  # the counter looks at gradients of what a layer is given, such as a weight
    try:
        with counter, sdpa_kernel(SDPBackend.MATH):  # made of matrix products, which the counter knows
            model(**copied(call))
    finally:
        for weight in trained:
            weight.requires_grad_(True)
    counts = {name: sum(flops.values()) // 2 for name, flops in counter.get_flop_counts().items()}

    def macs(module: nn.Module) -> int:  # a list of modules is never called itself
        own = counts.get(names[module])
        return own if own is not None else sum(macs(child) for child in module.children())

    return {module: macs(module) for module in names}


def dead_modules(model: nn.Module, cut: Cut) -> list[nn.Module]:
    """The outermost modules of which nothing runs on a cached step."""
    alive = cut.remaining(model)

    def dead(module: nn.Module) -> Iterator[nn.Module]:
        for child in module.children():
            if alive.isdisjoint(child.modules()):
                yield child
            else:
                yield from dead(child)

    return list(dead(model))
