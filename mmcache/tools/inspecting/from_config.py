"""Denoisers without weights: from a folder's or the hub's config files alone, on the meta device."""

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmcache.architectures.registry import denoiser_names
from mmcache.tools.hub import hub_config as config_on_hub
from mmcache.tools.hub import index_of, reachable
from mmcache.tools.model_source import (
    MODEL,
    PIPELINE,
    ModelNotFoundError,
    beginning,
    is_hub_id,
    read_config,
)


def denoisers_from_config(model: str | Path, revision: str | None = None) -> dict[str, nn.Module]:
    """The denoisers of a pipeline or of a model, by name. Nothing but their config files is read.

    Args:
        model: a folder with model_index.json, or with config.json in it or in a folder below it; or an id on
            the Hugging Face hub.
        revision: of an id on the hub: a commit, a tag or a branch.

    Raises:
        ModelNotFoundError: there is no such folder or id, or no denoiser in it that mmcache knows.
    """
    folder = Path(model).expanduser()
    if os.path.lexists(folder):
        classes = classes_of_folder(folder)
        config_of = folder_config(folder)
    elif is_hub_id(str(model)):
        online = reachable()
        classes = classes_of_hub(str(model), online, revision)
        config_of = hub_config(str(model), online, revision)
    else:
        raise ModelNotFoundError(f"{model}: there is no such folder ({folder.absolute()})")
    known = set(denoiser_names())
    denoisers = {name: place for name, place in classes.items() if place[1] in known}
    if not denoisers:
        found = ", ".join(f"{name} ({place[1]})" for name, place in classes.items()) or "no model"
        raise ModelNotFoundError(
            f"{model}: no adapter for {found[:100]}. Run `mmcache adapters` for the list, or see "
            f"adapters/README.md"
        )
    return {name: build(f"{model}: {name}", *place, config_of(name)) for name, place in denoisers.items()}


def classes_of_folder(folder: Path) -> dict[str, tuple[str, str]]:
    """The library and class of each part, as the folder's files say."""
    if (folder / PIPELINE).is_file():
        return classes_of_index(read_config(folder / PIPELINE))
    found = {}
    for file in (folder / MODEL, *sorted(folder.glob(f"*/{MODEL}"))):
        if file.is_file() and "_class_name" in (config := read_config(file)):
            name = "denoiser" if file.parent == folder else file.parent.name
            found[name] = ("diffusers", str(config["_class_name"]))
    if not found:
        raise ModelNotFoundError(
            f"{folder}: there is no {PIPELINE} in it, and no {MODEL} of a diffusers model (wanted a "
            f"folder as save_pretrained(folder) writes it)"
        )
    return found


def classes_of_index(index: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """The parts of a pipeline: entries such as "unet": ["diffusers", "UNet2DConditionModel"]."""
    return {
        name: (entry[0], entry[1])
        for name, entry in index.items()
        if isinstance(entry, list) and len(entry) == 2 and all(isinstance(word, str) for word in entry)
    }


def classes_of_hub(model: str, online: bool, revision: str | None = None) -> dict[str, tuple[str, str]]:
    """The same of an id on the hub: a pipeline, or a model alone."""
    file, found = index_of(model, online=online, revision=revision)
    if file == PIPELINE:
        return classes_of_index(dict(found))
    return {"denoiser": ("diffusers", str(found.get("_class_name")))}


def folder_config(folder: Path) -> Callable[[str], dict[str, Any]]:
    """From a part's name to its config."""

    def config_of(name: str) -> dict[str, Any]:
        file = folder / name / MODEL
        return read_config(file if file.is_file() else folder / MODEL)

    return config_of


def hub_config(model: str, online: bool, revision: str | None = None) -> Callable[[str], dict[str, Any]]:
    """The same for an id on the hub."""

    def config_of(name: str) -> dict[str, Any]:
        below = "" if name == "denoiser" else name
        return config_on_hub(model, MODEL, online=online, subfolder=below, revision=revision) or {}

    return config_of


def build(what: str, library: str, name: str, config: dict[str, Any]) -> nn.Module:
    """A model of this class, without memory for its weights.

    Raises:
        ModelNotFoundError: the config is not one of this class.
    """
    try:
        cls: Any = getattr(importlib.import_module(library), name)
        with torch.device("meta"):
            return cls.from_config(config).eval()  # type: ignore[no-any-return]
    except Exception as error:  # whatever a constructor raises for a wrong setting
        raise ModelNotFoundError(f"{what}: its config makes no {name}: {beginning(error)}") from error
