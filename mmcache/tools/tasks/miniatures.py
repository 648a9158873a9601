"""The names of the shipped miniatures, and what else such a name can mean."""

from pathlib import Path

from mmcache.tools.model_source import MODEL, PIPELINE
from mmcache.tools.tasks.tasks import TASKS, Task


def task_of(miniature: str) -> Task:
    """The task of a shipped miniature."""
    return next(task for task in TASKS if miniature in (task.miniature, *task.others))


def miniature_names() -> list[str]:
    """The shipped miniatures."""
    return list(dict.fromkeys(name for task in TASKS for name in (task.miniature, *task.others)))


def is_miniature(model: str) -> bool:
    """Whether this means a shipped miniature: its name, where no folder with a model is called so too."""
    return model in miniature_names() and not is_model_folder(Path(model))


def is_model_folder(folder: Path) -> bool:
    return any((folder / index).is_file() for index in (PIPELINE, MODEL))


def twofold_name(model: str) -> str:
    """What to say of a miniature's name that a folder has too: which of both is taken; "" otherwise."""
    if model not in miniature_names() or not Path(model).exists():
        return ""
    if is_model_folder(Path(model)):
        return f"{model} is the folder here, not the shipped miniature of that name; ./{model} says so"
    return f"{model} is the shipped miniature; the folder {model} here has no model in it"
