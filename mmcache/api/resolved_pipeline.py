"""A pipeline, looked at once: its denoisers, side networks, schedulers and the arguments of its call."""

import functools
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from mmcache.architectures.component import Denoiser, SideNetwork
from mmcache.architectures.registry import adapter_for, closest_denoiser_name, side_adapter_for
from mmcache.architectures.undescribed import time_argument, undescribed_adapter
from mmcache.clocks.pipeline_clock import own_schedulers, pipelines_of
from mmcache.compat.modular_inputs import modular_parameters
from mmcache.errors import UnsupportedPipelineError, shortened
from mmcache.patching.forward_patch import unwrap_compiled
from mmcache.patching.pipeline_kinds import is_modular, is_pipeline

BARE = "denoiser"  # the name of a model that is accelerated without a pipeline
_component_names: WeakKeyDictionary[type, tuple[str, ...]] = WeakKeyDictionary()
RESIDUALS = {  # the denoiser's arguments that side networks are for
    "down_block_additional_residuals",
    "controlnet_block_samples",
    "block_controlnet_hidden_states",
}


@dataclass(frozen=True, eq=False)
class ResolvedPipeline:
    """What `accelerate` knows of its first argument.

    Attributes:
        owner: the pipeline, or the bare denoiser.
        denoisers: by name; of several, those that have a deep part.
        scheduler: that of someone's own loop around a bare denoiser, if it was named.
    """

    owner: Any
    denoisers: Mapping[str, Denoiser]
    scheduler: Any = None

    @property
    def is_bare(self) -> bool:
        """Whether it is a denoiser without a pipeline."""
        return isinstance(self.owner, nn.Module)

    @property
    def is_own_loop(self) -> bool:
        """Whether nothing but the timesteps tells where sampling stands, nor how many steps there are."""
        return self.is_bare and self.scheduler is None

    @property
    def class_name(self) -> str:
        return type(self.owner).__name__

    @cached_property
    def clock_owner(self) -> Any:
        """What holds the schedulers: the pipeline, or a place for the scheduler of a bare denoiser."""
        return SimpleNamespace(scheduler=self.scheduler) if self.is_bare else self.owner

    @property
    def schedulers(self) -> list[Any]:
        return [one for part in pipelines_of(self.clock_owner) for one in own_schedulers(part)]

    @cached_property
    def call_parameters(self) -> Mapping[str, inspect.Parameter]:
        """The arguments that the pipeline is called with; none for a bare denoiser.

        Raises:
            UnsupportedPipelineError: it is not called itself.
        """
        if self.is_bare:
            return {}
        if is_modular(self.owner):
            return modular_parameters(self.owner)
        if not any("__call__" in vars(kind) for kind in type(self.owner).__mro__):
            raise UnsupportedPipelineError(
                f"{self.class_name} is not called itself: it makes another pipeline of its parts for every "
                f"task. Make the one that you need, and accelerate that."
            )
        return parameters_of(type(self.owner).__call__)

    @cached_property
    def task_arguments(self) -> Collection[str]:
        """Those of them that show the task; blocks of a modular pipeline that choose a task show none."""
        if is_modular(self.owner):
            return modular_parameters(self.owner, required=True)
        return self.call_parameters


@functools.lru_cache(maxsize=1024)
def parameters_of(call: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The arguments of a pipeline class's call."""
    return inspect.signature(call).parameters


def resolve(owner: Any, scheduler: Any = None) -> ResolvedPipeline:
    """Look at a pipeline or a bare denoiser; where no adapter describes one, at what looks like a denoiser.

    Raises:
        UnsupportedPipelineError: it has none.
    """
    return ResolvedPipeline(owner, find_denoisers(owner, undescribed=True), scheduler)


def models_of(pipe: Any) -> dict[str, nn.Module]:
    """All models of a pipeline, by name."""
    if is_modular(pipe):
        return {name: part for name, part in pipe.components.items() if isinstance(part, nn.Module)}
    names = _component_names.get(type(pipe))
    if names is None:  # the same for all of a class; to find them, diffusers looks at signatures
        names = _component_names[type(pipe)] = tuple(pipe.components)
    parts = ((name, getattr(pipe, name, None)) for name in names)
    return {name: part for name, part in parts if isinstance(part, nn.Module)}


def part_of(owner: Any, name: str) -> nn.Module | None:
    """The model of this name, as it is now; None if there is none."""
    found = owner
    for step in name.split("."):  # a denoiser within a wrapper
        found = getattr(found, step, None)
    return found if isinstance(found, nn.Module) else None


def find_denoisers(pipe: Any, undescribed: bool = False) -> dict[str, Denoiser]:
    """The denoisers of a pipe that an adapter describes, by name; of several, those that have a deep part.

    Args:
        pipe: or a bare denoiser.
        undescribed: where there is none, take models without an adapter that are told the time.

    Raises:
        UnsupportedPipelineError: there is none.
    """
    if isinstance(pipe, nn.Module):
        part = Denoiser(
            BARE, pipe, adapter_for(unwrap_compiled(pipe)) or undescribed_adapter(unwrap_compiled(pipe))
        )
        if part.adapter.undescribed and not undescribed:
            raise missing_adapter(pipe)
        return {BARE: part}
    if not is_pipeline(pipe):
        raise UnsupportedPipelineError(
            f"accelerate() wants a diffusers pipeline or a denoiser, not {type(pipe).__name__}: pass the "
            f"object that you call with a prompt, such as StableDiffusionPipeline.from_pretrained(...)."
        )
    models = dict(inside_wrapper(name, model) for name, model in models_of(pipe).items())
    found = {name: (model, adapter_for(unwrap_compiled(model))) for name, model in models.items()}
    denoisers = {name: Denoiser(name, model, adapter) for name, (model, adapter) in found.items() if adapter}
    if not denoisers and undescribed:
        denoisers = {
            name: Denoiser(name, model, undescribed_adapter(unwrap_compiled(model)))
            for name, model in models.items()
            if looks_like_denoiser(unwrap_compiled(model))
        }
    if not denoisers:
        for name, model in models.items():
            if inner := wrapped_denoiser(model):
                raise UnsupportedPipelineError(
                    f"{name} is a {type(model).__name__} around a {type(part_of(model, inner)).__name__}: "
                    f"unwrap it first, pipe.{name} = pipe.{name}.{inner}"
                )
        raise missing_adapter(pipe)
    gain = {name: part for name, part in denoisers.items() if part.branches}
    return gain or denoisers


def wrapped_denoiser(model: nn.Module) -> str:
    """The name of the one child of a module that is a known denoiser; "" for a model that wraps none."""
    if adapter_for(unwrap_compiled(model)) is not None:
        return ""
    known = [name for name, child in model.named_children() if adapter_for(unwrap_compiled(child))]
    return known[0] if len(known) == 1 else ""


def inside_wrapper(name: str, model: nn.Module) -> tuple[str, nn.Module]:
    """The denoiser within somebody's wrapper, which calls it as it likes: in tiles, or once for each region.

    Those of torch copy their module to other devices, or hold a part of it: they are left as they are.
    """
    of_torch = type(model).__module__.startswith("torch.")
    inner = "" if of_torch or side_adapter_for(unwrap_compiled(model)) else wrapped_denoiser(model)
    return (f"{name}.{inner}", model.get_submodule(inner)) if inner else (name, model)


def looks_like_denoiser(model: nn.Module) -> bool:
    """Whether a model without an adapter is told the time, and is no side network."""
    is_side_network = side_adapter_for(model) is not None or getattr(model, "nets", None) is not None
    return time_argument(model) is not None and not is_side_network


def missing_adapter(pipe: Any) -> UnsupportedPipelineError:
    """What is said of a pipeline or a bare model without a denoiser that an adapter describes."""
    if isinstance(pipe, nn.Module):
        model = unwrap_compiled(pipe)
        if inner := wrapped_denoiser(model):
            return UnsupportedPipelineError(
                f"{type(model).__name__} is a wrapper around a {type(part_of(model, inner)).__name__}: "
                f"accelerate what it wraps, mmcache.accelerate(model.{inner}, ...)"
            )
        return UnsupportedPipelineError(
            f"No adapter for {type(model).__name__}. Closest known class: {closest_denoiser_name(model)}. "
            f"Describe it (adapters/README.md, mmcache.general_adapter), or forecast its output, which needs "
            f'no adapter: accelerate(model, branch="none", scheduler=...).'
        )
    kinds = {name: type(unwrap_compiled(model)).__name__ for name, model in models_of(pipe).items()}
    parts = ", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "no models"
    return UnsupportedPipelineError(
        f"{type(pipe).__name__} has no denoiser with an adapter: it has {shortened(parts, 110)}. See "
        f"`mmcache adapters`, adapters/README.md, or forecast the denoiser's output, which needs none: "
        f'accelerate(pipe, branch="none").'
    )


def find_side_networks(pipe: Any) -> dict[str, SideNetwork]:
    """The networks beside a pipe's denoiser, each once, by name; several under one name are counted."""
    if not is_pipeline(pipe):
        return {}
    candidates = (
        candidate
        for name, model in models_of(pipe).items()
        for candidate in [(name, model), *several(name, unwrap_compiled(model))]
    )
    found = {name: (part, side_adapter_for(unwrap_compiled(part))) for name, part in candidates}
    networks = {
        name: SideNetwork(name, model, adapter) for name, (model, adapter) in found.items() if adapter
    }
    first = {id(network.module): name for name, network in reversed(networks.items())}
    return {name: network for name, network in networks.items() if first[id(network.module)] == name}


def several(name: str, model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The networks in diffusers' container of several."""
    for index, net in enumerate(getattr(model, "nets", ())):
        yield f"{name}.nets.{index}", net


def takes_residuals(denoiser: Denoiser) -> bool:
    """Whether side networks are for this denoiser."""
    return not RESIDUALS.isdisjoint(denoiser.parameters)
