"""The parts of a pipeline that mmcache has to do with, by name: denoisers and side networks."""

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

from diffusers import DiffusionPipeline
from torch import nn

from mmcache.architectures.adapter import Adapter, SideAdapter
from mmcache.architectures.registry import adapter_for, denoiser_names, side_adapter_for
from mmcache.errors import UnsupportedPipelineError
from mmcache.patching.forward_patch import unwrap_compiled

BARE = "denoiser"  # the name of a model that is accelerated without a pipeline
LOOK = (
    "To add one, see adapters/README.md. If it is a stack of blocks, mmcache can look for them: "
    "mmcache.register(mmcache.general_adapter(model)); compare before you rely on it."
)
RESIDUALS = {  # the denoiser's arguments that side networks are for
    "down_block_additional_residuals",
    "controlnet_block_samples",
    "block_controlnet_hidden_states",
}


class Denoiser(NamedTuple):
    """A model, perhaps a compiled one, and what describes it."""

    model: nn.Module
    adapter: Adapter


class SideNetwork(NamedTuple):
    """The same for a network beside a denoiser."""

    model: nn.Module
    adapter: SideAdapter


def models_of(pipe: DiffusionPipeline) -> dict[str, nn.Module]:
    """All models of a pipeline, by name."""
    parts_of: Any = pipe  # its loader replaces the class when it is imported, so it has no type
    return {name: part for name, part in parts_of.components.items() if isinstance(part, nn.Module)}


def part_of(owner: Any, name: str) -> nn.Module | None:
    """The model of this name, as it is now; None if there is none."""
    found = getattr(owner, name, None)
    return found if isinstance(found, nn.Module) else None


def find_denoisers(pipe: Any) -> dict[str, Denoiser]:
    """The parts of a pipe that an adapter describes, by name; of several, those that have a deep part.

    Raises:
        UnsupportedPipelineError: there is none.
    """
    known = ", ".join(denoiser_names())
    if isinstance(pipe, nn.Module):
        adapter = adapter_for(unwrap_compiled(pipe))
        if adapter is None:
            raise UnsupportedPipelineError(
                f"{type(unwrap_compiled(pipe)).__name__} is no denoiser that mmcache knows "
                f"(it knows {known}). {LOOK}"
            )
        return {BARE: Denoiser(pipe, adapter)}
    if not isinstance(pipe, DiffusionPipeline):
        raise UnsupportedPipelineError(
            f"accelerate() wants a diffusers pipeline or a denoiser, not {type(pipe).__name__}: "
            f"pass the object that you call with a prompt, such as StableDiffusionPipeline.from_pretrained()"
        )
    models = models_of(pipe)
    found = {name: (model, adapter_for(unwrap_compiled(model))) for name, model in models.items()}
    denoisers = {name: Denoiser(model, adapter) for name, (model, adapter) in found.items() if adapter}
    if not denoisers:
        parts = ", ".join(f"{name} ({type(model).__name__})" for name, model in models.items()) or "no models"
        raise UnsupportedPipelineError(
            f"{type(pipe).__name__} has no denoiser that mmcache knows: it has {parts}; mmcache knows "
            f"{known}. Nor has one of them a list of blocks that it can see how to cut. To add one, see "
            f"adapters/README.md."
        )
    gain = {
        name: part for name, part in denoisers.items() if part.adapter.branches(unwrap_compiled(part.model))
    }
    return gain or denoisers


def find_side_networks(pipe: Any) -> dict[str, SideNetwork]:
    """The networks beside a pipe's denoiser, each once, by name; several under one name are counted."""
    if not isinstance(pipe, DiffusionPipeline):
        return {}
    candidates = (
        candidate
        for name, model in models_of(pipe).items()
        for candidate in [(name, model), *several(name, unwrap_compiled(model))]
    )
    found = {name: (model, side_adapter_for(unwrap_compiled(model))) for name, model in candidates}
    networks = {name: SideNetwork(model, adapter) for name, (model, adapter) in found.items() if adapter}
    first = {id(network.model): name for name, network in reversed(networks.items())}
    return {name: network for name, network in networks.items() if first[id(network.model)] == name}


def several(name: str, model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The networks in diffusers' container of several."""
    for index, net in enumerate(getattr(model, "nets", ())):
        yield f"{name}.nets.{index}", net


def guesses(denoisers: dict[str, Denoiser]) -> list[str]:
    """What there is to say of denoisers whose blocks were found by looking."""
    return [
        f"{name} ({type(unwrap_compiled(part.model)).__name__}) is described by no adapter; "
        f"{part.adapter.name}. "
        f"The first full step shows whether cutting there is right; if it is not, every step is full"
        for name, part in denoisers.items()
        if part.adapter.inferred
    ]


def takes_residuals(model: nn.Module) -> bool:
    """Whether side networks are for this denoiser."""
    return not RESIDUALS.isdisjoint(inspect.signature(type(unwrap_compiled(model)).forward).parameters)


def unknown_denoisers(pipe: Any) -> list[str]:
    """Models that are told the time, as denoisers are, but which are not cached, and why."""
    if not isinstance(pipe, DiffusionPipeline):
        return []
    models = {name: unwrap_compiled(model) for name, model in models_of(pipe).items()}
    described = {name: (model, adapter_for(model)) for name, model in models.items()}
    without_deep_part = [
        f"{name} ({type(model).__name__}) {adapter.refused}: it runs in full"
        for name, (model, adapter) in described.items()
        if adapter is not None and not adapter.branches(model)
    ]
    return without_deep_part + [
        f"{name} ({type(model).__name__}) has no adapter: it runs in full"
        for name, (model, adapter) in described.items()
        if "timestep" in inspect.signature(type(model).forward).parameters
        and adapter is None
        and side_adapter_for(model) is None
        and not getattr(model, "nets", ())
    ]
