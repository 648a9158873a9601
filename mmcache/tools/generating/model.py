"""How workers make their pipeline, and what is known of it before they do."""

import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from mmcache.errors import shown
from mmcache.tools.generating.lines import arguments_of
from mmcache.tools.generating.model_check import pipeline_class


@dataclass(frozen=True)
class LoadModel:
    """Loads a pipeline by its folder or id, in a worker."""

    model: str
    device: str = "auto"
    dtype: str = "auto"
    revision: str | None = None
    variant: str | None = None

    def __call__(self) -> Any:
        from mmcache.tools.loading import load_pipeline

        return load_pipeline(self.model, self.device, self.dtype, self.revision, self.variant)


@dataclass(frozen=True)
class Model:
    """How workers make their pipeline, and what is known of it before they do.

    Attributes:
        load: in a worker; it can be pickled, unless the work is done in this process.
        config: the folder or id whose config files the plan is checked against; None if there is none.
        pipeline: its class; None where nobody knows before it is loaded.
        settings: what settings.json says of it.
        sized_like_image: whether an image of a line's own sets the proportions.
        device: of all workers.
        revision: of `config`, where that is an id of the hub.
    """

    load: Callable[[], Any]
    config: str | Path | None = None
    pipeline: Any = None
    settings: Mapping[str, Any] | None = None
    sized_like_image: bool = False
    device: str = "auto"
    revision: str | None = None


def model_of(
    load: str | Path | Callable[[], Any],
    config: str | Path | None,
    device: str,
    dtype: str,
    revision: str | None = None,
    variant: str | None = None,
) -> Model:
    """The model of `generate`'s arguments.

    Raises:
        ModelNotFoundError: there is no such folder or id.
        ValueError: a revision or variant for a function, which chooses for itself.
        TypeError: something else than a name or a function, such as a loaded pipeline.
    """
    if hasattr(load, "from_pretrained") or not (isinstance(load, str | Path) or callable(load)):
        raise TypeError(
            f"load={shown(load)}: wanted a folder, an id on the hub, or a function that makes the pipeline, "
            f"such as lambda: pipe"
        )
    if not callable(load):
        chosen = {"revision": revision, "variant": variant}
        named = {name: value for name, value in chosen.items() if value is not None}
        settings = {"model": str(load), "dtype": dtype} | named
        loader = LoadModel(str(load), device, dtype, **named)
        return Model(loader, load, pipeline_class(load, revision), settings, device=device, revision=revision)
    if variant is not None or (revision is not None and config is None):
        raise ValueError(
            "revision and variant are for a load that is an id or a folder: a function gives them to "
            "from_pretrained itself (beside model=, revision names whose configs the plan is checked against)"
        )
    return Model(
        load, config, annotated_class(load), {"load": described(load)}, device=device, revision=revision
    )


def annotated_class(load: Callable[[], Any]) -> Any:
    """The pipeline's class that a function says it returns; None if it says none."""
    try:
        found = get_type_hints(load).get("return")
    except Exception:  # whatever stands in the annotation
        return None
    has_call = isinstance(found, type) and found is not object and "prompt" in arguments_or_none(found)
    return found if has_call else None


def arguments_or_none(cls: Any) -> frozenset[str]:
    try:
        return arguments_of(cls)
    except (AttributeError, TypeError, ValueError):
        return frozenset()


def described(load: Any) -> Any:
    """A function by its name, and what was bound to it; for settings.json."""
    if isinstance(load, functools.partial):
        bound: dict[str, Any] = {"arguments": [words(one) for one in load.args]}
        bound |= {name: words(value) for name, value in load.keywords.items()}
        return {"function": described(load.func), **bound}
    if is_dataclass(load) and not isinstance(load, type):
        values = {field.name: words(getattr(load, field.name)) for field in fields(load)}
        return {"function": described(type(load)), **values}
    name = getattr(load, "__qualname__", type(load).__qualname__)
    module = getattr(load, "__module__", "")
    return name if module == "__main__" else f"{module}.{name}"


def described_value(value: Any) -> Any:
    """An argument of the call for settings.json: as it is where JSON has it, images by their contents."""
    if isinstance(value, dict):
        return {str(name): described_value(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [described_value(one) for one in value]
    if value is None or isinstance(value, str | int | float):
        return value
    contents = getattr(value, "tobytes", None)
    if contents is None:
        return words(value)
    return f"{type(value).__name__} {hashlib.sha256(contents()).hexdigest()[:16]}"


def words(value: Any) -> str:
    """The same in every process: without addresses."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
