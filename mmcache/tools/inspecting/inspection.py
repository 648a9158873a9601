"""`inspect(model)`: each denoiser's branches, what a cached step takes there, and what is kept."""

import functools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map_only

from mmcache.api.resolved_pipeline import find_denoisers
from mmcache.architectures.adapter import Adapter, default_plan
from mmcache.architectures.example_call import USUAL, Size
from mmcache.layouts.cut import full_view
from mmcache.macs.count import skeleton
from mmcache.macs.operations import ByShapes
from mmcache.tools.inspecting.known_contents import KnownContents
from mmcache.tools.inspecting.layers import staying, words
from mmcache.tools.inspecting.stack_parts import Part, stack_parts

BYTES = 2  # of a number in float16 and bfloat16, in which pipelines run on a GPU


@dataclass(frozen=True)
class Branch:
    """What is left of a denoiser on a cached step.

    Attributes:
        branch: 0 is the cheapest.
        layers: the layers that stay, in words.
        macs: multiply-adds of the cached step; None where they cannot be counted.
        share: of a full step's.
        bytes_per_lane: of the kept feature in half precision; a forecast of order n keeps n + 1 of them.
        parts: of a transformer's stack, in the order in which they run; none for a U-Net.
    """

    branch: int
    layers: str
    macs: int | None
    share: float | None
    bytes_per_lane: int | None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """One denoiser.

    Attributes:
        name: in its pipeline.
        kind: its class.
        adapter: what describes it.
        plan: the default one.
        stands_for: what the figures are for: an image of 1024x1024 pixels; "" where the shapes say it.
        call: the shapes that the figures are for, by argument.
        full_macs: multiply-adds of a full step; None where they cannot be counted.
        note: why not; "" where they were.
        branches: the cheapest first.
    """

    name: str
    kind: str
    adapter: str
    plan: str
    stands_for: str
    call: dict[str, list[int]]
    full_macs: int | None
    note: str
    branches: tuple[Branch, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def inspect(pipe: Any, size: Size = USUAL, name: str = "") -> list[Inspection]:
    """Describe the denoisers of a pipeline, or a bare one, with or without weights (on the meta device).

    Args:
        pipe: a diffusers pipeline or a denoiser; nothing is done to it and nothing is computed.
        size: of the call that is counted.
        name: of a bare denoiser.

    Raises:
        ValueError: the denoiser cannot have this size.
        UnsupportedPipelineError: no denoiser that mmcache knows.
    """
    return [
        inspect_denoiser(name or own_name, part.model, part.adapter, size)
        for own_name, part in find_denoisers(pipe).items()
    ]


def inspect_denoiser(name: str, model: nn.Module, adapter: Adapter, size: Size) -> Inspection:
    """Describe one denoiser."""
    example: Any = adapter.example_call  # of a config that is a mapping
    call = None if example is None else example.arguments(model.config, size)
    note = ""
    full: int | None = None
    cuts = [adapter.cut(model, branch) for branch in range(adapter.branches(model))]
    measured: list[Any] = [(None, None, stack_parts(cut, None)) for cut in cuts]
    if call is None:
        kind = type(model).__name__
        note = f"MACs are not counted: adapter {adapter.name!r} has no example call of a {kind}"
    else:
        try:
            full, *measured = measure(model, adapter, call)
        except Exception as error:  # whatever a foreign config leads to: the layers are still worth seeing
            note = f"MACs are not counted: {why_not(model, adapter, error)}"
    branches = tuple(
        Branch(
            branch,
            words(model, cut),
            macs,
            macs / full if macs is not None and full else None,
            held,
            parts,
        )
        for branch, (cut, (macs, held, parts)) in enumerate(zip(cuts, measured, strict=True))
    )
    return Inspection(
        name=name,
        kind=type(model).__name__,
        adapter=adapter.name,
        plan=str(default_plan(adapter, adapter.family)),
        stands_for=example.stands_for(model.config, size) if example else "",
        call=dict(shapes(call or {})),
        full_macs=full,
        note=note,
        branches=branches,
    )


def why_not(model: nn.Module, adapter: Adapter, error: Exception) -> str:
    """Why a call without contents fails."""
    if adapter.data_dependent:
        return (
            f"a {type(model).__name__} looks at the contents of its tensors, and a config has none; "
            f"`mmcache compare` counts them while it generates"
        )
    said = " ".join(str(error).split())[:120] or type(error).__name__
    return f"the call that its config leads to fails ({said})"


def measure(model: nn.Module, adapter: Adapter, call: dict[str, Any]) -> Iterator[Any]:
    """Multiply-adds of a full step; then for each branch those of a cached one, the bytes kept and the parts.

    Only a full step is counted, layer by layer: the layers that stay take on a cached step what they take
    there.
    """
    bare = skeleton(model)
    cuts = [adapter.cut(bare, branch) for branch in range(adapter.branches(bare))]
    counter = ByShapes()
    taken = by_module(bare, counter)
    tapped = full_view(bare, cuts).module
    with torch.no_grad(), KnownContents(), counter:
        tapped(**call)
    full = counter.total
    yield full
    for cut in cuts:
        macs = full - left_out(bare, staying(bare, cut), taken)
        held = BYTES * sum(tensor.numel() for tensor in cut.tap.take())
        yield macs, held, stack_parts(cut, taken)


def by_module(model: nn.Module, counter: ByShapes) -> dict[int, int]:
    """Fills with the multiply-adds of each module in the next call, its children included, by its id."""
    taken: dict[int, int] = {}
    before: list[int] = []

    def enter(module: nn.Module, args: Any) -> None:
        before.append(counter.total)

    def leave(key: int, module: nn.Module, args: Any, output: Any) -> None:
        taken[key] = taken.get(key, 0) + counter.total - before.pop()

    for module in model.modules():
        module.register_forward_pre_hook(enter)
        module.register_forward_hook(
            functools.partial(leave, id(module))
        )  # of a copy in a view: the original's
    return taken


def left_out(module: nn.Module, left: set[int], taken: dict[int, int]) -> int:
    """What the modules take that are not left; a list of modules is itself never called."""
    if id(module) not in left and id(module) in taken:
        return taken[id(module)]
    return sum(left_out(child, left, taken) for child in module.children())


def shapes(call: dict[str, Any]) -> Iterator[tuple[str, list[int]]]:
    """The shapes of the tensors of a call, by argument; those of a table by its own names."""
    for name, value in call.items():
        if isinstance(value, dict):
            yield from shapes(value)
        else:
            yield name, tree_map_only(torch.Tensor, lambda tensor: list(tensor.shape), value)
