"""From what a person types after `--model` to a pipeline on a device."""

import re
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline

from mmcache.errors import shortened, shown
from mmcache.tools.hub import index_of, missing_text, reachable
from mmcache.tools.model_source import (
    MODEL,
    PIPELINE,
    ModelNotFoundError,
    beginning,
    check_dtype,
    find_source,
    refuse_bare,
)

WEIGHTS = ("*.safetensors", "*.bin")
MOST_REASON = 100  # characters of what torch says of a device
SHARD = re.compile(r"-\d{5}-of-\d{5}")


def load_pipeline(
    model: str | Path,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    variant: str | None = None,
) -> DiffusionPipeline:
    """Load a pipeline.

    Args:
        model: a folder as `save_pretrained` writes it, or an id on the Hugging Face hub.
        device: of torch, such as "cuda:1"; "auto" takes the first of cuda, mps and cpu that is there.
        dtype: "float32", "float16", "bfloat16"; "auto" is float32 on a CPU and float16 elsewhere.
        revision: of a model on the hub: a commit, a tag or a branch. A commit is the same model for ever.
        variant: of the weights, such as "fp16"; without it the only one that a folder has.

    Raises:
        ModelNotFoundError: no such folder, not a pipeline, or no such id (or no way to the hub).
        ValueError: a device that is not there, an unknown dtype.
    """
    place = find_device(device)
    kind = find_dtype(dtype, place)
    wanted = "a diffusers pipeline"
    loaded = _load(DiffusionPipeline, model, PIPELINE, kind, wanted, revision, variant)
    return loaded.to(place)


def load_part(cls: Any, model: str | Path, dtype: torch.dtype) -> Any:
    """Load one model beside a pipeline: a `ControlNetModel`, a `MotionAdapter`.

    Args:
        cls: its class.
        model: a folder as its `save_pretrained` writes it, or an id on the Hugging Face hub.
        dtype: of its weights.

    Raises:
        ModelNotFoundError: no such folder, not such a model, or no such id (or no way to the hub).
    """
    return _load(cls, model, MODEL, dtype, f"a {cls.__name__}")


def _load(
    cls: Any,
    model: str | Path,
    index: str,
    dtype: torch.dtype,
    wanted: str,
    revision: str | None = None,
    variant: str | None = None,
) -> Any:
    """From a folder that has the file `index`, or from the hub; only safetensors, which run no code."""
    source = find_source(model, index, wanted, revision)
    options: dict[str, Any] = {} if revision is None else {"revision": revision}
    online = True
    if isinstance(source, str):
        online = reachable()
        options["local_files_only"] = not online
        if index == PIPELINE and (found := index_of(source, online=online, revision=revision))[0] == MODEL:
            refuse_bare(model, found[1])
    variants = variants_in(source) if isinstance(source, Path) else set()
    variant = variant or (only(variants) if None not in variants else None)
    if variant is None and variants and None not in variants:
        raise ModelNotFoundError(
            f"{model}: has its weights as variants only ({', '.join(sorted(map(str, variants)))}): choose "
            f"one, variant={sorted(map(str, variants))[0]!r} (--variant on the command line)"
        )
    try:
        # Without `use_safetensors`, a file of pickle would be run where there is no other.
        return cls.from_pretrained(
            source, torch_dtype=dtype, use_safetensors=True, variant=variant, **options
        )
    except Exception as error:  # what three libraries raise for broken folders and a missing network
        if isinstance(source, str):
            raise ModelNotFoundError(missing_text(source, online, error)) from error
        raise ModelNotFoundError(f"{model}: cannot be loaded as {wanted}: {beginning(error)}") from error


def variants_in(folder: Path) -> set[str | None]:
    """The variants of the weights in a folder, such as fp16; None among them for weights without one."""
    names = (file.name for pattern in WEIGHTS for file in folder.rglob(pattern))
    return {
        None if len(parts) < 3 else parts[-2] for name in names if (parts := SHARD.sub("", name).split("."))
    }


def only(variants: set[str | None]) -> str | None:
    """The variant, where there is one alone."""
    return next(iter(variants)) if len(variants) == 1 else None


def find_device(device: str) -> torch.device:
    """The torch device of this name, if it is there.

    Raises:
        ValueError: it is not.
    """
    if device == "auto":
        kinds = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
        return torch.device(next(kind for kind, there in kinds.items() if there))
    try:
        place = torch.device(device)
        torch.zeros(1, device=place).item()  # "meta" has shapes without values
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = shortened(beginning(error), MOST_REASON)
        raise ValueError(
            f"device {shown(device)} cannot be used ({why}); here there is {', '.join(device_names())}, and "
            f"auto takes the first of cuda, mps and cpu"
        ) from None
    return place


def device_names() -> list[str]:
    """The devices that torch can use."""
    found = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def find_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The torch dtype of this name.

    Raises:
        ValueError: it is not one that pipelines run in.
    """
    check_dtype(dtype)
    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else torch.float16
    return getattr(torch, dtype)  # type: ignore[no-any-return]
