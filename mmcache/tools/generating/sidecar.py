"""What a sidecar tells: the run's report, the model and its revision, versions and device."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INDEX, SNAPSHOTS = "model_index.json", "snapshots"


def summed(report: Any, seconds: float, batch: int) -> dict[str, Any]:
    """The report of a call as that of one of its images: steps are everyone's, the rest a share."""
    parts = [
        {
            "name": part.name,
            "adapter": part.adapter,
            "plan": part.plan,
            "full_steps": part.full_steps,
            "cached_steps": part.cached_steps,
            "cache_misses": sum(step.cache_miss for step in part.steps),
            "macs": share(part.macs, batch),
            "full_macs": share(part.full_macs, batch),
            "seconds": part.seconds / batch,
            "bytes_held": part.bytes_held,
        }
        for part in report.parts
    ]
    denoisers = report.denoisers
    return {
        "full_steps": sum(part.full_steps for part in denoisers),
        "cached_steps": sum(part.cached_steps for part in denoisers),
        "macs": share(report.macs, batch),
        "full_macs": share(report.full_macs, batch),
        "seconds": seconds,
        "bytes_held": sum(part["bytes_held"] for part in parts),
        "parts": parts,
        "notes": [str(note) for note in report.notes],
    }


def share(macs: int | None, batch: int) -> int | None:
    return None if macs is None else round(macs / batch)


def slim(sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """What the driver adds up: a message for every image should be short."""
    report = {name: value for name, value in sidecar["report"].items() if name not in ("parts", "notes")}
    return {"file": sidecar["file"], "bytes": sidecar["bytes"], "report": report}


def about(pipe: Any) -> dict[str, Any]:
    """The model, its revision, and the versions and device that an image depends on."""
    from mmcache.tools.running.provenance import environment

    return {
        "model": str(pipe.name_or_path or ""),
        "revision": revision_of(pipe),
        "versions": environment(pipe),
    }


def revision_of(pipe: Any) -> str | None:
    """The commit of a model of the hub; of a folder the hash of its configs; None where neither is known.

    The pipeline itself keeps only the id, which stands for any commit. Its models keep the folder that their
    weights were read from, and the hub's cache has a folder for each commit.
    """
    folder = Path(pipe.name_or_path or "")
    if (folder / INDEX).is_file():
        if folder.parent.name == SNAPSHOTS:
            return folder.name
        configs = sorted((*folder.glob("*.json"), *folder.glob("*/*.json")))
        contents = b"".join(config.read_bytes() for config in configs)
        return "configs-" + hashlib.sha256(contents).hexdigest()[:16]
    for part in pipe.components.values():
        source = Path(str(getattr(getattr(part, "config", None), "_name_or_path", None) or ""))
        if source.parent.parent.name == SNAPSHOTS and folder_of_hub(pipe) in source.parts:
            return source.parent.name
    return None


def folder_of_hub(pipe: Any) -> str:
    """The name of its folder in the hub's cache."""
    return "models--" + str(pipe.name_or_path).replace("/", "--")
