"""Multiply-adds of a denoiser call, counted without computing anything.

The call is repeated on torch's meta device (shapes only) by a copy of the model without weights and
hooks. So the figure does not depend on device, precision, offload or compilation, nor on which kernel
computes attention: on the meta device attention is made of matrix products, where the fused kernel of a CPU
is not known to torch's flop counter. What counts is a convention (`mmcache.macs.conventions`).
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from mmcache.compat.spread_models import asks_for_sizes, class_below_fsdp
from mmcache.layouts.cut import Cut, cached_view, full_view
from mmcache.macs.conventions import EVERYTHING, Convention
from mmcache.macs.operations import ByShapes

# What accelerate, diffusers, torch.compile and mmcache itself put on a module instance.
_ADDED = ("forward", "_old_forward", "_hf_hook", "_diffusers_hook", "_compiled_call_impl")
_OF_FSDP = "__composable_api"  # how the names of what `fully_shard` adds begin
_SHARED = ("_internal_dict",)  # diffusers' configuration, which is frozen
# The tables of hooks that torch gives every module.
_HOOKS = tuple(
    name for name, value in vars(nn.Module()).items() if "hook" in name and isinstance(value, dict)
)
# How a class may say that its modules are copied in a way of its own.
_COPYING = ("__new__", "__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")
_IMMUTABLE = (bool, int, float, str, type(None), torch.dtype)


def shapes_of(call: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call without their contents: on the meta device, floating point as float32."""
    found: dict[str, Any] = tree_map(without_contents, call)
    return found


def without_contents(leaf: Any) -> Any:
    """A tensor on the meta device; of a pipeline's own store of tensors, a copy with such; else itself."""
    if isinstance(leaf, torch.Tensor):
        return on_meta(leaf)
    if not is_store(leaf):
        return leaf
    return copy.deepcopy(leaf, {id(tensor): on_meta(tensor) for tensor in tensors_of(leaf)})


def tensors_of(thing: Any, depth: int = 3) -> Iterator[torch.Tensor]:
    """The tensors that an object has as attributes, or its attributes have.

    Args:
        depth: how deep attributes of attributes are looked into; objects may refer to themselves.
    """
    for leaf in tree_leaves(getattr(thing, "__dict__", None)):
        if isinstance(leaf, torch.Tensor):
            yield leaf
        elif is_store(leaf) and depth > 1:
            yield from tensors_of(leaf, depth - 1)


def is_store(thing: Any) -> bool:
    """Whether this is an object with attributes of its own, such as a store of keys and values."""
    return hasattr(thing, "__dict__") and not isinstance(thing, type | torch.Tensor) and not callable(thing)


def on_meta(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty(
        tensor.shape, dtype=torch.float32 if tensor.is_floating_point() else tensor.dtype, device="meta"
    )


def plain_layer(layer: nn.Module) -> nn.Module | None:
    """What a quantised linear layer, convolution or embedding stands for; None for any other layer."""
    if type(layer).__module__.startswith("torch.nn.modules") or not is_packed(layer):
        return None
    has_bias = getattr(layer, "bias", None) is not None
    with torch.device("meta"):
        if isinstance(layer, nn.Conv2d):
            names = ("stride", "padding", "dilation", "groups", "padding_mode")
            options: Any = {name: getattr(layer, name) for name in names} | {"kernel_size": layer.kernel_size}
            return nn.Conv2d(layer.in_channels, layer.out_channels, bias=has_bias, **options)
        if isinstance(layer, nn.Embedding):
            return nn.Embedding(layer.num_embeddings, layer.embedding_dim)
        entering, leaving = getattr(layer, "in_features", None), getattr(layer, "out_features", None)
        if isinstance(entering, int) and isinstance(leaving, int):
            return nn.Linear(entering, leaving, bias=has_bias)
    return None


def is_packed(layer: nn.Module) -> bool:
    """Whether a layer has no plain weight of floating point, nor modules with such weights.

    What wraps a layer (LoRA) computes more than that layer alone; what only quantises is no wrapper.
    """
    own = [*layer._parameters.values(), *layer._buffers.values()]
    weight = layer._parameters.get("weight", layer._buffers.get("weight"))
    deciding = own if weight is None else [weight]
    plain = [tensor for tensor in deciding if tensor is not None and is_plain(tensor)]
    packed = [tensor for tensor in deciding if tensor is not None and not is_plain(tensor)]
    below = (tensor for child in layer.children() for tensor in child.parameters())
    return (bool(packed) or not plain) and not any(is_plain(tensor) and tensor.dim() > 1 for tensor in below)


def is_plain(tensor: torch.Tensor) -> bool:
    """Whether a tensor has one number of floating point a place, and no class of its own."""
    return type(tensor) in (torch.Tensor, nn.Parameter) and tensor.is_floating_point()


def skeleton(model: nn.Module) -> nn.Module:
    """A copy of a model with its structure only: no weights, no hooks.

    In place of quantised layers it has plain ones, which take as many multiply-adds.
    """
    memo: dict[int, Any] = {}
    replaced: set[nn.Module] = set()
    copied: list[nn.Module] = []
    for module in model.modules():
        own = vars(module)
        if module is not model and (plain := plain_layer(module)) is not None:
            memo[id(module)] = plain
            replaced.update(module.modules())
        elif module not in replaced and is_copied_by_table(module):
            kind = class_below_fsdp(module)
            memo[id(module)] = kind.__new__(kind)
            copied.append(module)
        memo |= {id(own[name]): None for name in added_to(module)}
        memo |= {id(own[name]): own[name] for name in _SHARED if name in own}
        memo |= {id(own[name]): type(own[name])() for name in _HOOKS if name in own}
        memo |= {id(t): nn.Parameter(on_meta(t), False) for t in module._parameters.values() if t is not None}
        memo |= {id(tensor): on_meta(tensor) for tensor in module._buffers.values() if tensor is not None}
    for module in copied:
        vars(memo[id(module)]).update(table_of(module, memo))
    bare = copy.deepcopy(model, memo)
    for module in bare.modules():
        for name in added_to(module):
            del vars(module)[name]
    return bare


def added_to(module: nn.Module) -> list[str]:
    """The attributes of a module that it has of those who call it or move its weights."""
    return [name for name in vars(module) if name in _ADDED or name.startswith(_OF_FSDP)]


def is_copied_by_table(module: nn.Module) -> bool:
    """Whether a module's class leaves it to torch how it is copied."""
    kind = class_below_fsdp(module)
    return all(getattr(kind, name, None) is getattr(nn.Module, name, None) for name in _COPYING)


def table_of(module: nn.Module, memo: dict[int, Any]) -> dict[str, Any]:
    """A deep copy of a module's table, of whose many entries few need one."""

    def copy_of(value: Any) -> Any:
        if type(value) in _IMMUTABLE:
            return value
        if id(value) in memo:
            return memo[id(value)]
        # torch gives each module three small dicts and an empty set, which `deepcopy` takes long for.
        if type(value) is dict and all(type(key) in _IMMUTABLE for key in value):
            made: dict[Any, Any] = {}
            memo[id(value)] = made
            made.update((key, copy_of(entry)) for key, entry in value.items())
            return made
        if type(value) is set and not value:
            memo[id(value)] = empty = set[Any]()
            return empty
        return copy.deepcopy(value, memo)

    return {name: copy_of(value) for name, value in vars(module).items()}


Smaller = Callable[[nn.Module, dict[str, Any]], tuple[nn.Module, dict[str, Any]]]
"""From a copy of a model and the arguments of a call to a smaller model, and its arguments."""


def skip_branch(
    make_cut: Callable[[nn.Module, int], Cut], branch: int, tell_full: Callable[[int], Any] | None = None
) -> Smaller:
    """What a cached step runs of a denoiser.

    Args:
        make_cut: the adapter's `cut`.
        branch: which skip branch runs.
        tell_full: is told the multiply-adds of the full step, which has to run first to give the feature.
    """

    def smaller(bare: nn.Module, shapes: dict[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
        cut = make_cut(bare, branch)
        with ByShapes() as full:
            full_view(bare, [cut]).module(**shapes_of(shapes))
        if tell_full is not None:
            tell_full(full.total)
        cut.slot.fill(cut.tap.take())
        return cached_view(bare, cut).module, cut.arguments(shapes)

    return smaller


class MacsUnknownError(Exception):
    """The multiply-adds of a call cannot be counted; the message says why."""


def count_macs(
    model: nn.Module,
    shapes: dict[str, Any],
    smaller: Smaller | None = None,
    convention: Convention = EVERYTHING,
) -> int | None:
    """Multiply-adds of one call; None where `require_macs` raises: a report is worth more than one figure."""
    try:
        return require_macs(model, shapes, smaller, convention)
    except MacsUnknownError:
        return None


def require_macs(
    model: nn.Module,
    shapes: dict[str, Any],
    smaller: Smaller | None = None,
    convention: Convention = EVERYTHING,
) -> int:
    """Multiply-adds of one call.

    Args:
        model: the denoiser; nothing is done to it.
        shapes: the arguments by name, from `shapes_of`.
        smaller: what is left of the model; None counts all of it.
        convention: what counts; attention's own products included, if nothing else is said.

    Raises:
        MacsUnknownError: the model cannot run on the meta device, or runs a kernel that nobody knows.
    """
    if asks_for_sizes(model):
        raise MacsUnknownError(f"{type(model).__name__} is split into parts of any size over processes")
    try:
        bare = skeleton(model)
        with torch.no_grad():
            shapes = shapes_of(shapes)  # a copy: models take entries out of lists that they are given
            counted, arguments = (bare, shapes) if smaller is None else smaller(bare, shapes)
            with convention.counting(counted) as total:
                counted(**arguments)
                return total()
    except Exception as error:  # whatever a foreign layer raises
        reason = next(iter(str(error).strip().splitlines()), "")[:120]
        raise MacsUnknownError(
            f"{type(model).__name__} does not run on the meta device ({type(error).__name__}: {reason})"
        ) from error
