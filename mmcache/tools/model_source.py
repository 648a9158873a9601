"""Where a model is that somebody names: a folder, or an id on the hub. Nothing is loaded, so torch is not."""

import json
import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmcache.errors import unknown_name
from mmcache.plans.regular_file import read_regular

PIPELINE, MODEL = "model_index.json", "config.json"
MOST_BYTES = 2**22  # of a config; those of diffusers have a few thousand
DTYPES = ("auto", "float32", "float16", "bfloat16")


class ModelNotFoundError(ValueError):
    """There is no pipeline under this name; the message says where it was looked for."""


def is_hub_id(model: str) -> bool:
    """Whether it can only be meant for the hub: `owner/name`, nothing that looks like a path."""
    parts = model.split("/")
    return len(parts) == 2 and all(part and not part.startswith((".", "~")) for part in parts)


def find_source(
    model: str | Path,
    index: str = PIPELINE,
    wanted: str = "a diffusers pipeline",
    revision: str | None = None,
) -> Path | str:
    """The folder of a model, or its id on the hub, which is not asked.

    Args:
        model: as it was named.
        index: the file that its folder has.
        wanted: what it is to be, for messages.
        revision: of the hub.

    Raises:
        ModelNotFoundError: neither, a folder without the index, or a folder with a revision.
    """
    check_model_name(model)
    folder = Path(model).expanduser()
    if not os.path.lexists(folder):
        if is_hub_id(str(model)):
            return str(model)
        raise ModelNotFoundError(f"{model}: there is no such folder ({folder.absolute()})")
    if not (folder / index).is_file():
        if index == PIPELINE and (folder / MODEL).is_file():
            refuse_bare(model, read_config(folder / MODEL))
        raise ModelNotFoundError(
            f"{model}: is not {wanted}, there is no {index} in it "
            f"(wanted a folder as save_pretrained(folder) writes it)"
        )
    if revision is not None:
        raise ModelNotFoundError(f"{model}: is a folder, a revision is one of the hub: leave it out")
    return folder


def check_model_name(model: str | Path) -> None:
    """Refuse a name that says nothing: as a path it would be the folder that one stands in.

    Raises:
        ModelNotFoundError: it is empty.
    """
    if not str(model).strip():
        raise ModelNotFoundError(
            "the name of the model is empty: give a folder, an id on the Hugging Face hub, or the name of a "
            "shipped miniature"
        )


def refuse_bare(model: str | Path, config: Mapping[str, Any]) -> None:
    """Say of a single model that it is one, where a pipeline is wanted.

    Raises:
        ModelNotFoundError: the config is that of a model of diffusers.
    """
    if "_class_name" in config:
        raise ModelNotFoundError(
            f"{model}: is a {config['_class_name']} alone, and a whole pipeline is wanted ({PIPELINE} with "
            f"its parts): name the pipeline that it belongs to; `mmcache inspect` and `check` take it alone"
        )


def read_config(file: Path) -> dict[str, Any]:
    """A JSON file.

    Raises:
        ModelNotFoundError: it is missing or damaged.
    """
    try:
        found = json.loads(read_regular(file, MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelNotFoundError(f"{file}: cannot be read as a config: {beginning(error)}") from None
    if not isinstance(found, dict):
        raise ModelNotFoundError(f"{file}: is no config, it holds a {type(found).__name__}")
    return found


def beginning(error: BaseException) -> str:
    """The beginning of what the error says; its type if it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return textwrap.shorten(lines[0], 160, placeholder=" ...") if lines else type(error).__name__


def check_dtype(dtype: str) -> None:
    """Refuse what is no dtype that pipelines run in.

    Raises:
        ValueError: it is not one.
    """
    if dtype not in DTYPES:
        raise ValueError(unknown_name("dtype", dtype, DTYPES))
