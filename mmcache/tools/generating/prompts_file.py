"""A file of prompts, read line by line: JSON lines, or a text file with a prompt in each line."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from mmcache.errors import shortened
from mmcache.plans.regular_file import open_regular
from mmcache.tools.generating.lines import LineError
from mmcache.tools.running.characters import half_character

JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
LONGEST = 2**20  # bytes of a line
MOST_PATH = 160  # characters of a path in a message
BOM = b"\xef\xbb\xbf"


class PromptsFileError(ValueError):
    """A file of prompts is missing, empty, or has a line that cannot be used; the message says which."""


class RawLine(NamedTuple):
    """A line that is not empty: its number, counted from 1, and its words or its JSON."""

    number: int
    data: Any


def check_exists(path: Path) -> None:
    """Find out beforehand whether there is such a file.

    Raises:
        PromptsFileError: there is none, or it is no regular file: a pipe can be read only once.
    """
    open_prompts(path).close()


def open_prompts(path: Path) -> BinaryIO:
    """A file of prompts, open to be read.

    Raises:
        PromptsFileError: there is none, or it is no regular file.
    """
    name = shortened(str(path), MOST_PATH)
    try:
        return open_regular(path)
    except FileNotFoundError:
        raise PromptsFileError(f"{name}: there is no such file of prompts") from None
    except ValueError as error:
        raise PromptsFileError(
            f"{name}: {error}; give a file of prompts, which is read more than once"
        ) from None


def read_lines(path: Path) -> Iterator[RawLine | tuple[int, LineError]]:
    """The lines of a file, in constant memory.

    Args:
        path: JSON lines if it ends in .jsonl, .ndjson or .json, or if its first line begins with "{"; any
            other file has a prompt in each line.

    Yields:
        Lines; for one that cannot be read its number, and the reason.

    Raises:
        PromptsFileError: there is no such file, or it is no regular one.
    """
    with open_prompts(path) as file:
        as_json: bool | None = path.suffix.lower() in JSON_ENDINGS or None
        number = 0
        while raw := file.readline(LONGEST + 1):
            number += 1
            stripped = raw.removeprefix(BOM if number == 1 else b"").strip()
            if len(raw) > LONGEST:
                yield number, LineError(f"is longer than {LONGEST} bytes")
                return  # what follows is the rest of it
            if not stripped:
                continue
            if as_json is None:
                as_json = stripped.startswith(b"{")
            try:
                words = stripped.decode("utf-8")
                yield RawLine(number, parse_json(words) if as_json else words)
            except UnicodeDecodeError:
                yield number, LineError("is not text in UTF-8")
            except LineError as error:
                yield number, error


def parse_json(words: str) -> Any:
    """A line of JSON lines.

    Raises:
        LineError: it is none, has a key twice, numbers that JSON does not have or no float can hold, or
            half a character.
    """
    try:
        data = json.loads(
            words, object_pairs_hook=unique, parse_constant=no_constant, parse_float=finite, parse_int=bounded
        )
        if "\\u" in words and (half := half_character(data)):  # the one way to write it
            raise LineError(f"has {half}, which is half a character")
        return data
    except LineError:
        raise
    except (ValueError, RecursionError) as error:
        raise LineError(f"is not JSON ({error}): {shortened(words, 60)}") from None


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise LineError(f"has the key {key!r} twice")
        found[key] = value
    return found


def finite(word: str) -> float:
    if math.isinf(number := float(word)):
        raise LineError(f"has {shortened(word, 60)}, which is too large a number")
    return number


def bounded(word: str) -> int:
    finite(word)
    return int(word)


def no_constant(word: str) -> Any:
    raise LineError(f"has {word}, which is no number of JSON")


def write_lines(prompts: Iterable[str | Mapping[str, Any]], path: Path) -> None:
    """Write prompts as JSON lines, so that an iterable is read as a file is: twice, in constant memory.

    Raises:
        PromptsFileError: one is neither a text nor keys and values that JSON has.
    """
    with path.open("w", encoding="utf-8") as file:
        for number, prompt in enumerate(prompts, 1):
            if isinstance(prompt, Path) or not isinstance(prompt, str | Mapping):
                raise PromptsFileError(
                    f"prompt {number} is a {type(prompt).__name__}; wanted a text or a dict"
                )
            try:
                file.write(
                    json.dumps(prompt if isinstance(prompt, str) else dict(prompt), default=str_of) + "\n"
                )
            except (TypeError, ValueError) as error:
                raise PromptsFileError(f"prompt {number} cannot be written as JSON: {error}") from None


def str_of(value: Any) -> str:
    """Paths as texts; other objects have no JSON.

    Raises:
        TypeError: it is no path.
    """
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is not for a line; give images as paths of files")
