"""What a shell completes behind an option: names, without importing torch."""

from collections.abc import Callable, Iterable
from pathlib import Path

FOLDERS = 200  # entries of a folder that are looked at


def starting(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """For typer: the names that begin with what is typed so far."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return complete


def preset_names() -> list[str]:
    from mmcache.plans.presets import presets

    return list(presets())


def task_names() -> list[str]:
    from mmcache.tools.tasks.tasks import TASKS

    return [task.name for task in TASKS]


def sampler_names() -> list[str]:
    from mmcache.tools.tasks.samplers import SAMPLERS

    return list(SAMPLERS)


def dtype_names() -> tuple[str, ...]:
    from mmcache.tools.model_source import DTYPES

    return DTYPES


def device_names() -> list[str]:
    """Those that torch may know; of CUDA's also the numbers, as Linux lists them."""
    numbers = sorted(int(path.name[6:]) for path in Path("/dev").glob("nvidia[0-9]*"))
    return ["auto", "cpu", "cuda", *(f"cuda:{number}" for number in numbers), "mps"]


def complete_plan(incomplete: str) -> list[str]:
    """Presets, and plan files."""
    return [*starting(preset_names)(incomplete), *paths(incomplete, lambda path: path.suffix == ".yaml")]


def complete_model(incomplete: str) -> list[str]:
    """Shipped miniatures, folders of pipelines, and models of the hub that are on this machine."""
    from mmcache.tools.model_source import PIPELINE
    from mmcache.tools.tasks.miniatures import miniature_names

    folders = paths(incomplete, lambda path: (path / PIPELINE).is_file())
    return [*starting(miniature_names)(incomplete), *folders, *starting(downloaded)(incomplete)]


def downloaded() -> list[str]:
    """Ids of the hub whose files are on this machine."""
    from huggingface_hub import constants

    folders = Path(constants.HF_HUB_CACHE).glob("models--*--*")
    return sorted(folder.name.removeprefix("models--").replace("--", "/", 1) for folder in folders)


def paths(incomplete: str, fits: Callable[[Path], bool]) -> list[str]:
    """Paths that begin so and fit, and the folders on the way to others."""
    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") else typed.parent
    if not folder.is_dir():
        return []
    before = incomplete[: incomplete.rfind("/") + 1]
    found = []
    for path in sorted(folder.iterdir())[:FOLDERS]:
        name = before + path.name
        if name.startswith(incomplete) and not path.name.startswith("."):
            found += [name] if fits(path) else [f"{name}/"] if path.is_dir() else []
    return found
