"""The Hugging Face hub: its config files, and whether it can be reached at all.

The hub's client tries six times to reach it, for 24 seconds and more, and logs a line each time. So it is
asked once beforehand; without an answer only what is on this machine is used.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmcache.tools.model_source import (
    MODEL,
    PIPELINE,
    ModelNotFoundError,
    beginning,
    read_config,
    refuse_bare,
)

SECONDS = 5.0  # that an answer may take

UNREACHABLE = "the hub cannot be reached from here, and it is not among the models on this machine"


def reachable() -> bool:
    """Whether the hub answers; False also where the user has switched it off (HF_HUB_OFFLINE)."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS)
    except Exception:  # of whichever client of HTTP this version has
        return False
    return True


def hub_config(
    model: str, file: str, *, online: bool, subfolder: str = "", revision: str | None = None
) -> dict[str, Any] | None:
    """A JSON file of a model on the hub, downloaded unless it is on this machine; None if there is none.

    Raises:
        ModelNotFoundError: it is damaged, there is no such model, or no way to it.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    name = f"{subfolder}/{file}" if subfolder else file
    try:
        found = hf_hub_download(model, name, revision=revision, local_files_only=not online)
    except LocalEntryNotFoundError:
        return None
    except EntryNotFoundError:
        return None
    except Exception as error:  # no such model, no permission, a network that fails on the way
        raise ModelNotFoundError(missing_text(model, online, error)) from error
    return read_config(Path(found))


def index_of(model: str, *, online: bool, revision: str | None = None) -> tuple[str, Mapping[str, Any]]:
    """The index of a pipeline on the hub, or else the config of a single model, and which of both it is.

    Raises:
        ModelNotFoundError: it has neither, or there is no way to it.
    """
    for file in (PIPELINE, MODEL):
        found = hub_config(model, file, online=online, revision=revision)
        if found is not None:
            return file, found
    raise ModelNotFoundError(missing_text(model, online))


def check_pipeline(model: str, revision: str | None = None) -> None:
    """Find out whether a model of the hub is a pipeline, before torch is imported to load it.

    Raises:
        ModelNotFoundError: there is no such model or no way to it, or it is a denoiser alone.
    """
    kind, found = index_of(model, online=reachable(), revision=revision)
    if kind == MODEL:
        refuse_bare(model, found)


def missing_text(model: str, online: bool, error: BaseException | None = None) -> str:
    """What is said of a model that the hub did not give."""
    why = beginning(error) if error is not None else f"it has neither {PIPELINE} nor {MODEL}"
    return (
        f"{model}: there is no such folder here, and the Hugging Face hub did not give it: "
        f"{why if online else UNREACHABLE}"
    )
