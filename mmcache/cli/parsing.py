"""Parsers of the option values of `mmcache sweep`, `mmcache tune` and `mmcache calibrate`."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from mmcache.cli.demos_package import MINIATURES, require_demos
from mmcache.errors import shortened, shown

Number = TypeVar("Number", int, float)

CAPTIONS = 8  # of the shipped miniature, where no prompts are given
MOST_PROMPTS = 2**24  # bytes of a file of prompts
MOST_THREADS = 256
MOST_PATH = 160  # characters of a path in a message


def split_commas(text: str) -> list[str]:
    """The words between commas; none for an empty text."""
    return [word.strip() for word in text.split(",") if word.strip()]


def parse_int(option: str, word: str) -> int:
    return parsed(int, "whole number", "2,3,5", option, word)


def parse_number(option: str, word: str) -> float:
    return parsed(float, "number", "2,3.5", option, word)


def parsed(kind: Callable[[str], Number], name: str, example: str, option: str, word: str) -> Number:
    """One of the numbers between commas.

    Raises:
        ValueError: it is not of this kind.
    """
    try:
        return kind(word)
    except ValueError:
        raise ValueError(
            f"{option}: {shown(word)} is no {name}; wanted numbers between commas, such as {example}"
        ) from None


def parse_branch(option: str, word: str) -> int | str:
    """A branch: a number, or none.

    Raises:
        ValueError: it is neither.
    """
    return word if word == "none" else parse_int(option, word)


def parse_finite(option: str, word: str) -> float:
    """A number that is neither infinite nor NaN.

    Raises:
        ValueError: it is none.
    """
    number = parse_number(option, word)
    if not math.isfinite(number):
        raise ValueError(f"{option}: {shown(word)} is no finite number; give one such as 7.5")
    return number


def parse_threads(word: str) -> int:
    """A number of threads; with tens of thousands OpenMP would end the process without a word.

    Raises:
        ValueError: it is none, or more than any machine has use for.
    """
    most = max(MOST_THREADS, os.cpu_count() or 1)
    number = parse_int("--threads", word)
    if not 1 <= number <= most:
        raise ValueError(f"--threads: {shown(number)}: wanted 1 to {most}; this machine has {os.cpu_count()}")
    return number


def parse_out(option: str, word: str | Path) -> Path:
    """A path; an empty one would mean the folder that one stands in.

    Raises:
        ValueError: it is empty.
    """
    if not str(word).strip():
        raise ValueError(f"{option}: is empty, which would be this folder: give a path, or . for this folder")
    return Path(word)


def parse_forecast(word: str) -> Any:
    """A forecast from its name: hold, taylor1, taylor2, ...

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


def parse_policy(word: str) -> Any:
    """A policy from its name: uniform or nonuniform.

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
    file: Path | None, count: int | None, task: Any, miniature: str | None, default_count: int = CAPTIONS
) -> tuple[list[str] | None, list[Any]]:
    """Prompts, and for the miniature's captions the figures of how well the images show them.

    Args:
        file: a prompt per line.
        count: number of prompts.
        task: a `Task`.
        miniature: the shipped one, which has captions of its own; None for another model.
        default_count: number of captions without a count.

    Raises:
        ValueError: a file that is missing or without (enough) prompts.
    """
    check_prompts_option(file, count, miniature)
    if file is not None:
        return prompts_in(file, count), []
    if miniature is None:
        return None, []
    captions = require_demos(MINIATURES, "prompts").prompts_for(
        miniature, count or default_count, task.prompt
    )
    return captions.prompts, list(captions.figures)


def check_prompts_option(file: Path | None, count: int | None, miniature: str | None) -> None:
    """Refuse prompts that are not there, before torch is imported.

    Raises:
        ValueError: a file that is missing or without (enough) prompts.
    """
    from mmcache.tools.running.call_settings import check_count

    if count is not None:
        check_count("count", count)
    if file is not None:
        prompts_in(file, count)
    elif miniature is not None:
        require_demos(MINIATURES)


def prompts_in(file: Path, count: int | None) -> list[str]:
    """The lines of a file that are not empty.

    Raises:
        ValueError: it is missing, no text, or has too few.
    """
    from mmcache.plans.regular_file import read_regular

    name = shortened(str(file), MOST_PATH)
    try:
        lines = read_regular(file, MOST_PROMPTS).splitlines()
    except FileNotFoundError:
        raise ValueError(f"{name}: there is no such file of prompts") from None
    except ValueError as error:
        raise ValueError(f"{name}: is not a text file with a prompt in each line: {error}") from None
    found = [line.strip() for line in lines if line.strip()]
    if not found or (count is not None and len(found) < count):
        raise ValueError(f"{name}: has {len(found)} prompts, wanted {count or 'at least 1'}")
    return found[:count]


def find_model_figures(lpips: Path | None, clip: Path | None) -> tuple[list[Any], list[str]]:
    """Figures of quality that need a model of their own, and a note where one is missing.

    Raises:
        ValueError: a file or folder cannot be used.
    """
    from mmcache.tools.quality.clip_score import clip_score_figure
    from mmcache.tools.quality.figures import NotMeasuredError
    from mmcache.tools.quality.lpips import lpips_figure

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
