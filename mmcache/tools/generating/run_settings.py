"""settings.json: what all images of a folder have in common, so that no two kinds get mixed up in it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmcache.errors import shortened
from mmcache.tools.generating.items import canonical
from mmcache.tools.generating.store import SIDECAR, as_json, part_name, write_part

FILE = "settings.json"
OWN_FILES = (FILE, "summary.json")


class OtherSettingsError(ValueError):
    """The folder holds images that were made with other settings; the message names one of them."""


def claim_folder(folder: Path, settings: Mapping[str, Any], *, overwrite: bool) -> bool:
    """Write the settings into a folder that has none, or compare them with those that it has.

    Any number of drivers may do so at once: the first one's settings hold.

    Returns:
        Whether the folder had none.

    Raises:
        OtherSettingsError: it has others, and they are not to be overwritten.
    """
    path = folder / FILE
    part = folder / part_name(FILE)
    try:
        write_part(part, as_json(settings), durable=True)
        try:
            os.link(part, path)  # fails where the file is there, unlike a renaming
            return True
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            if not path.exists():
                part.replace(path)
                return True
        check_settings(folder, settings, overwrite=overwrite)
        if overwrite:
            part.replace(path)
        return False
    finally:
        part.unlink(missing_ok=True)


def check_settings(folder: Path, settings: Mapping[str, Any], *, overwrite: bool) -> None:
    """Compare settings with those of a folder, if it has any.

    Raises:
        OtherSettingsError: they differ, and are not to be overwritten.
    """
    path = folder / FILE
    if overwrite or not path.exists():
        return
    try:
        before = json.loads(path.read_bytes())
    except (OSError, ValueError):
        before = None
    if not isinstance(before, dict):
        raise OtherSettingsError(f"{path}: is not what mmcache has written; take another folder")
    now = json.loads(canonical(settings))
    if before != now:
        name, then, wanted = first_difference(before, now)
        raise OtherSettingsError(
            f"{folder}: has images with other settings ({name}: {shortened(canonical(then), 60)} there, "
            f"{shortened(canonical(wanted), 60)} now); take another folder, the same settings, or "
            f"--overwrite to replace them"
        )


def first_difference(one: Any, other: Any, name: str = "") -> tuple[str, Any, Any]:
    """Where two settings differ first, as "plan.policy.interval", and both values.

    What somebody wrote about a plan comes last: it says less than the plan does.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}, key=lambda key: (key == "evidence", key)):
            if one.get(key) != other.get(key):
                return first_difference(one.get(key), other.get(key), f"{name}.{key}".lstrip("."))
    return name, one, other


def release_folder(folder: Path) -> None:
    """Take the settings back while no image was made with them: a wrong model, say, is then corrected."""
    with os.scandir(folder) as entries:
        made = any(entry.name.endswith(SIDECAR) and entry.name not in OWN_FILES for entry in entries)
    if not made:
        (folder / FILE).unlink(missing_ok=True)
