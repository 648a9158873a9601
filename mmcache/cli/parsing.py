"""From what a person types after `mmcache sweep` and `mmcache tune` to what these functions take."""

from pathlib import Path
from typing import Any

CAPTIONS = 8  # of the shipped miniature, where no prompts are given


def words_of(text: str) -> list[str]:
    """Between commas; none of an empty text."""
    return [word.strip() for word in text.split(",") if word.strip()]


def whole(option: str, word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise ValueError(
            f"{option}: {word!r} is no whole number; wanted some between commas, as 2,3,5"
        ) from None


def forecast_of(word: str) -> Any:
    """hold, taylor1, taylor2, ...

    Raises:
        ValueError: there is no such forecast.
    """
    from mmcache.errors import unknown_name
    from mmcache.plans.forecast import Hold, Taylor

    order = word.removeprefix("taylor")
    if word == "hold":
        return Hold()
    if order != word and order.isdecimal():
        return Taylor(int(order))
    raise ValueError(unknown_name("forecast", word, ("hold", "taylor1", "taylor2", "taylor3")))


def policy_of(word: str) -> Any:
    """uniform or nonuniform.

    Raises:
        ValueError: there is no such policy.
    """
    from mmcache.errors import unknown_name
    from mmcache.plans.policy import NonUniform, Uniform

    known = {"uniform": Uniform, "nonuniform": NonUniform}
    if word not in known:
        raise ValueError(unknown_name("policy", word, known))
    return known[word]


def find_prompts(
    file: Path | None, count: int | None, task: Any, miniature: str | None, usual: int = CAPTIONS
) -> tuple[list[str] | None, list[Any]]:
    """What to draw, and for the miniature's captions the figure that says whether it was drawn as asked.

    Args:
        file: of prompts.
        count: how many of them.
        task: of `measuring.tasks`.
        miniature: the shipped one that draws, which has captions of its own; None for another model.
        usual: how many of those, without a count.

    Raises:
        ValueError: a file that is missing or without (enough) prompts.
    """
    if file is not None:
        return prompts_in(file, count), []
    if miniature is None:
        return None, []
    from mmcache_demos.prompts import prompts_for

    asked = prompts_for(miniature, count or usual, task.prompt)
    return asked.prompts, list(asked.figures)


def prompts_in(file: Path, count: int | None) -> list[str]:
    """The lines of a file that are not empty.

    Raises:
        ValueError: it is missing, no text, or has too few.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise ValueError(f"{file}: there is no such file of prompts") from None
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{file}: is not a text file with a prompt in each line") from None
    found = [line.strip() for line in lines if line.strip()]
    if not found or (count is not None and len(found) < count):
        raise ValueError(f"{file}: has {len(found)} prompts, wanted {count or 'at least 1'}")
    return found[:count]


def find_judges(lpips: Path | None, clip: Path | None) -> tuple[list[Any], list[str]]:
    """Figures that need a model of their own, and what to say where one is missing.

    Raises:
        ValueError: a file or folder that was given cannot be used.
    """
    from mmcache.tools.quality.clip_score import clip_score_figure
    from mmcache.tools.quality.lpips import lpips_figure
    from mmcache.tools.quality.quality import NotMeasuredError

    found, notes = [], []
    try:
        found.append(lpips_figure(lpips))
    except NotMeasuredError as reason:
        if lpips is not None:
            raise ValueError(f"no LPIPS: {reason}") from None
        notes.append(f"No LPIPS: {reason}.")
    if clip is not None:
        found.append(clip_score_figure(clip))
    return found, notes
