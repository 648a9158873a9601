"""What can be known of a model without its weights: its pipeline's class, its denoisers and its sampler."""

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from mmcache.api.resolved_pipeline import find_denoisers, looks_like_denoiser
from mmcache.architectures.registry import denoiser_names, known
from mmcache.tools.hub import hub_config as config_on_hub
from mmcache.tools.hub import index_of, reachable
from mmcache.tools.inspecting.from_config import (
    build,
    classes_of_folder,
    classes_of_index,
    folder_config,
    hub_config,
)
from mmcache.tools.model_source import PIPELINE, ModelNotFoundError, is_hub_id, read_config

SCHEDULER, SCHEDULER_CONFIG = "scheduler", "scheduler_config.json"
WEIGHTS, PICKLED = "*.safetensors", "*.bin"


@dataclass(frozen=True, eq=False)
class ModelParts:
    """A pipeline, or a denoiser alone, as its config files show it.

    Attributes:
        pipeline: the name of its class; "" for a denoiser alone.
        call: the arguments of its call; empty where the class is not known here.
        denoisers: those that an adapter describes, by name, without weights.
        unknown: denoisers without an adapter, by name.
        sampler: its scheduler; None where there is none, or it cannot be made.
        problems: sentences about what will be refused whatever the plan is.
    """

    pipeline: str
    call: Mapping[str, inspect.Parameter]
    denoisers: Mapping[str, nn.Module]
    unknown: Mapping[str, str]
    sampler: Any
    problems: tuple[str, ...] = field(default=())


def parts_of_pipeline(pipe: Any) -> ModelParts:
    """The same of a pipeline that is loaded, such as a shipped miniature."""
    call = inspect.signature(type(pipe).__call__).parameters
    denoisers = {name: part.model for name, part in find_denoisers(pipe).items()}
    return ModelParts(type(pipe).__name__, call, denoisers, {}, getattr(pipe, SCHEDULER, None))


def parts_of_config(model: str) -> ModelParts:
    """The parts of a folder, or of an id on the hub, from their config files.

    Raises:
        ModelNotFoundError: there is no such folder or id, or a config is damaged.
    """
    folder = Path(model).expanduser()
    problems: list[str] = []
    if os.path.lexists(folder):
        index = read_config(folder / PIPELINE) if (folder / PIPELINE).is_file() else {}
        classes, config_of = classes_of_folder(folder), folder_config(folder)
        file = folder / SCHEDULER / SCHEDULER_CONFIG
        sampler_config = read_config(file) if file.is_file() else None
        if any(folder.rglob(PICKLED)) and not any(folder.rglob(WEIGHTS)):
            problems.append("its weights are pickled, which run code and are not loaded: save safetensors")
    elif is_hub_id(model):
        online = reachable()
        kind, found = index_of(model, online=online)
        index = dict(found) if kind == PIPELINE else {}
        classes = (
            classes_of_index(index) if index else {"denoiser": ("diffusers", str(found.get("_class_name")))}
        )
        config_of = hub_config(model, online)
        sampler_config = (
            config_on_hub(model, SCHEDULER_CONFIG, online=online, subfolder=SCHEDULER) if index else None
        )
    else:
        raise ModelNotFoundError(f"{model}: there is no such folder ({folder.absolute()})")
    pipeline = str(index.get("_class_name", ""))
    cls = class_of_diffusers(pipeline)
    if pipeline and cls is None:
        problems.append(f"{pipeline} is not among the pipelines of the installed diffusers: upgrade it")
    names = set(denoiser_names())
    denoisers = {
        name: build(f"{model}: {name}", *place, config_of(name))
        for name, place in classes.items()
        if place[1] in names
    }
    unknown = {
        name: place[1]
        for name, place in classes.items()
        if place[1] not in names and is_denoiser(f"{model}: {name}", place, config_of)
    }
    call = inspect.signature(cls.__call__).parameters if cls is not None else {}
    return ModelParts(
        pipeline, call, denoisers, unknown, sampler_of(classes, sampler_config), tuple(problems)
    )


def class_of_diffusers(name: str) -> Any:
    import diffusers

    return getattr(diffusers, name, None) if name else None


def sampler_of(classes: Mapping[str, tuple[str, str]], config: Mapping[str, Any] | None) -> Any:
    """The scheduler, where diffusers has its class and the config makes it."""
    cls = class_of_diffusers(classes[SCHEDULER][1]) if SCHEDULER in classes else None
    try:
        return None if cls is None or config is None else cls.from_config(dict(config))
    except Exception:  # whatever a foreign config leads to: the rest is still worth knowing
        return None


def is_denoiser(what: str, place: tuple[str, str], config_of: Any) -> bool:
    """Whether a part without an adapter is told the time, as denoisers are."""
    library, name = place
    cls = class_of_diffusers(name)
    is_model = isinstance(cls, type) and issubclass(cls, nn.Module)
    if library != "diffusers" or not is_model or name in known().side_networks:
        return False
    try:
        return looks_like_denoiser(build(what, library, name, config_of(what.rpartition(": ")[2])))
    except ModelNotFoundError:
        return False
