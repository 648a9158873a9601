"""What the laws look at: a pipeline's anatomy, a denoiser's calls, what a session holds, MACs by module."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from types import FunctionType, ModuleType
from typing import Any

import torch
from diffusers import DiffusionPipeline, ModularPipeline, SchedulerMixin
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from mmcache.api.resolved_pipeline import find_denoisers, find_side_networks
from mmcache.api.session import Session
from mmcache.architectures.adapter import Adapter
from mmcache.architectures.component import Denoiser
from mmcache.clocks.scheduler_run import SchedulerRun
from mmcache.compat.model_settings import ModelSettings
from mmcache.engine.call_signature import call_signature, first_tensor, wants_gradients
from mmcache.engine.seen_tensor import Borrowed, Held
from mmcache.errors import UnsupportedPipelineError
from mmcache.layouts.cut import Cut, Slot, full_view
from mmcache.macs.count import is_store
from mmcache.patching.forward_patch import patch_forward
from mmcache.patching.swap import Swap
from mmcache.patching.view import View


class LawBroken(AssertionError):
    """A law does not hold; the message says which, where, and by how much."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise LawBroken(message)


def must_equal(what: str, one: Any, other: Any) -> None:
    """Bit for bit."""
    one, other = torch.as_tensor(one), torch.as_tensor(other)
    require(one.shape == other.shape, f"{what}: shapes {tuple(one.shape)} and {tuple(other.shape)}")
    if not torch.equal(one, other):
        raise LawBroken(f"{what}: differ by up to {(one.float() - other.float()).abs().max().item():.3g}")


def copied(call: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call with tensors of their own: models write to some."""

    def copy_of(leaf: Any) -> Any:
        return leaf.clone() if isinstance(leaf, torch.Tensor) else deepcopy(leaf) if is_store(leaf) else leaf

    again: dict[str, Any] = tree_map(copy_of, call)
    return again


def denoisers_of(pipe: Any) -> dict[str, Denoiser]:
    """The denoisers of a pipe; where no adapter describes one, what looks like a denoiser."""
    try:
        return find_denoisers(pipe)
    except UnsupportedPipelineError:
        return find_denoisers(pipe, undescribed=True)


Calls = Iterator[tuple[str, nn.Module, Adapter, list[dict[str, Any]]]]


def kinds_of_calls(pipe: Any, sample: Any) -> Calls:
    """Each denoiser of a pipeline, and its calls in a run (arguments by name), of each kind the first."""
    for name, part in denoisers_of(pipe).items():
        with recorded_calls(part.model) as calls:
            sample(pipe)
        require(bool(calls), f"{name}: the sampling run did not call it")
        first = {call_signature(call): call for call in reversed(calls)}
        with torch.no_grad():
            yield name, part.model, part.adapter, list(first.values())


def denoiser_calls(pipe: Any, sample: Any) -> Iterator[tuple[str, nn.Module, Adapter, dict[str, Any]]]:
    """The same with one call: of those with the largest latent, the first."""
    for name, model, adapter, calls in kinds_of_calls(pipe, sample):
        yield name, model, adapter, max(reversed(calls), key=lambda call: size(call, adapter.sample))


def size(call: dict[str, Any], sample: str) -> tuple[int, int]:
    """How many numbers are in the latent, then how many in everything that a call is given."""
    tensors = (leaf for leaf in tree_leaves(call) if isinstance(leaf, torch.Tensor))
    return first_tensor(call[sample]).numel(), sum(tensor.numel() for tensor in tensors)


@contextmanager
def recorded_calls(model: nn.Module) -> Iterator[list[dict[str, Any]]]:
    """The arguments of every call of a model, by name."""
    code = type(model).forward
    while hasattr(code, "__wrapped__"):
        code = code.__wrapped__
    names = code.__code__.co_varnames[1 : code.__code__.co_argcount]
    calls: list[dict[str, Any]] = []

    def note(forward: Any, args: Any, kwargs: Any) -> Any:
        call = dict(zip(names, args, strict=False)) | kwargs
        if not wants_gradients(model, call):  # such a call is no step of its own
            calls.append(copied(call))
        return forward(*args, **kwargs)

    undo = patch_forward(model, note)
    try:
        yield calls
    finally:
        undo()


@contextmanager
def failing_denoiser(pipe: Any, at_call: int, error: BaseException) -> Iterator[None]:
    """The denoisers raise in the middle of their `at_call`-th call (counted from 1), or the next to run."""
    handles = []
    for part in denoisers_of(pipe).values():
        done: list[nn.Module | None] = [None]  # by call, the layer that has finished last

        def begin(module: nn.Module, args: Any, done: Any = done) -> None:
            done.append(None)

        def fail(module: nn.Module, args: Any, output: Any, done: Any = done) -> None:
            # In the layer that was the last of the call before (in a first call, the first one to finish), so
            # with everything in place.
            if len(done) > at_call and done[-2] in (None, module):
                raise error
            done[-1] = module

        fail.computes_only = True  # type: ignore[attr-defined]  # its layers may be left out
        inside = [module for module in part.model.modules() if not list(module.children())]
        handles.append(part.model.register_forward_pre_hook(begin))
        handles += [module.register_forward_hook(fail) for module in inside]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class Same:
    """An object, equal to itself alone. It is kept: the place of one that was let go is soon another's."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.thing is other.thing


def anatomy(pipe: Any) -> dict[str, Any]:
    """Everything that an acceleration could leave behind: classes, attributes, children, hooks, weights."""
    found: dict[str, Any] = {f"pipe.{name}": True for name in vars(pipe)}
    for part, component in pipe.components.items():
        found[f"{part} class"] = type(component)
        if isinstance(component, SchedulerMixin):
            found |= {f"{part}.{name}": True for name in vars(component)}
        if isinstance(component, nn.Module):
            for name, module in component.named_modules():
                found |= anatomy_of_module(f"{part}.{name}", module)
    return found


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Where two anatomies differ."""
    return sorted(where for where in before.keys() | after.keys() if before.get(where) != after.get(where))


def anatomy_of_module(where: str, module: nn.Module) -> dict[str, Any]:
    found: dict[str, Any] = {f"{where} class": type(module)}
    for name, value in vars(module).items():
        found[f"{where}.{name}"] = Same(value)
        if isinstance(value, dict):
            found |= {f"{where}.{name}[{key}]": Same(entry) for key, entry in value.items()}
    versions = {f"{where} weight {name}": p._version for name, p in module.named_parameters(recurse=False)}
    return found | versions


@contextmanager
def bytes_held_at_calls(pipe: Any, session: Session) -> Iterator[dict[str, list[int]]]:
    """How many bytes a session holds at the beginning of every call, by denoiser.

    A call begins with that of the side networks whose residuals it is given, which already look at what they
    are conditioned on.
    """
    held: dict[str, list[int]] = {}
    side_networks = find_side_networks(pipe).values()
    handles = []
    for name, part in denoisers_of(pipe).items():
        seen = held.setdefault(name, [])
        begun: list[int] = []
        others = [driver for other, driver in session.denoisers.items() if other != name]

        def begin(module: nn.Module, args: Any, begun: list[int] = begun, others: list[Any] = others) -> None:
            if not begun and not torch.is_grad_enabled():  # calls that are differentiated are no steps
                begun.append(bytes_reachable(session, but=others))

        def note(module: nn.Module, args: Any, seen: list[int] = seen, begun: list[int] = begun) -> None:
            seen += begun
            begun.clear()

        handles += [side.module.register_forward_pre_hook(begin) for side in side_networks]
        handles += [part.module.register_forward_pre_hook(hook) for hook in (begin, note)]
    try:
        yield held
    finally:
        for handle in handles:
            handle.remove()


def bytes_reachable(session: Session, but: Sequence[object] = ()) -> int:
    """Bytes of all images, latents and features that a session refers to, directly or not.

    Found by following references, past the models, the pipeline and its scheduler, and the objects in `but`.
    Closures are followed.
    """
    # What a view has is the model's own, but for the slot, which its cut has too.
    # A borrowed tensor is an argument of the last call, and settings are the model's own: the caller's. So
    # are the timesteps that a run refers to.
    callers = Borrowed, ModelSettings, SchedulerRun
    skipped = (
        nn.Module,
        View,
        DiffusionPipeline,
        ModularPipeline,
        SchedulerMixin,
        *callers,
        type,
        ModuleType,
    )
    seen = {id(thing) for thing in but}
    tensors: dict[int, int] = {}
    waiting: list[Any] = [session]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, Slot):
            waiting.append(thing.kept)
        elif isinstance(thing, Swap):
            waiting.append(thing.value)  # its owner is the model's own
        elif isinstance(thing, Held):  # of any size: other small tensors are timesteps
            tensors[thing.tensor.data_ptr()] = thing.tensor.nbytes
        elif isinstance(thing, torch.Tensor) and thing.dim() > 1 and not thing.is_meta:
            tensors[thing.data_ptr()] = thing.nbytes
        elif isinstance(thing, FunctionType):
            waiting += thing.__closure__ or ()  # not its globals
        elif not isinstance(thing, (*skipped, torch.Tensor)):
            waiting += gc.get_referents(thing)
    return sum(tensors.values())


def feature_bytes(model: nn.Module, cut: Cut, call: dict[str, Any]) -> int:
    """Bytes of what a cut keeps of one call."""
    full_view(model, [cut]).module(**copied(call))
    return sum(tensor.nbytes for tensor in cut.tap.take())
