"""Items of work: one image or video each, whose name and seed come from its own line alone."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmcache.tools.generating.lines import LineError, LineSchema, is_image_key
from mmcache.tools.generating.prompts_file import RawLine, read_lines

MOST_SEED = 2**64


@dataclass(frozen=True)
class Item:
    """One image or video to generate.

    Attributes:
        number: of the line, counted from 1.
        name: of its files, without ending.
        seed: of its noise.
        arguments: of the pipeline's call; images as absolute paths.
        plan: a preset or plan file of its own; "" for the run's.
        key: a hash of everything that its image depends on.
    """

    number: int
    name: str
    seed: int
    arguments: Mapping[str, Any]
    plan: str
    key: str

    @property
    def prompt(self) -> str:
        return str(self.arguments.get("prompt", ""))

    @property
    def shape(self) -> str:
        """Equal for items that can share a call of the pipeline: all but prompt and seed is equal."""
        return canonical([self.plan, {k: v for k, v in self.arguments.items() if k != "prompt"}])


@dataclass(frozen=True)
class ItemMaker:
    """From lines to items.

    Attributes:
        schema: of the lines.
        seed: of the first line; each further line has the next one.
        settings: the hash of the run's settings.
        describe_plan: from a line's plan to what it says.
    """

    schema: LineSchema
    seed: int
    settings: str
    describe_plan: Callable[[str], Any] = str

    def make(self, line: RawLine) -> Item:
        """The item of a line.

        Raises:
            LineError: a key or value that cannot be used.
        """
        said = self.schema.check(line.data)
        own = said.pop("id", None)
        plan = said.pop("plan", "")
        seed = said.pop("seed", (self.seed + line.number - 1) % MOST_SEED)
        try:
            described = self.describe_plan(plan) if plan else None
        except ValueError as error:
            raise LineError(f"plan: {error}") from None
        arguments, contents = self._with_files(said)
        name = str(own) if own is not None else digest([said, seed, plan])[:16]
        key = digest([said, seed, described, contents, self.settings])
        return Item(line.number, name, seed, arguments, plan, key)

    def _with_files(self, said: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The arguments with absolute paths, and the hashes of those files."""
        arguments, contents = dict(said), []
        for name, value in said.items():
            if is_image_key(name):
                files = value if isinstance(value, list) else [value]
                paths = [(self.schema.folder / file).resolve() for file in files]
                contents += [file_hash(path) for path in paths]
                arguments[name] = [str(path) for path in paths] if isinstance(value, list) else str(paths[0])
        return arguments, contents


def items_in(path: Path, maker: ItemMaker) -> Iterator[Item | tuple[int, LineError]]:
    """The items of a file of prompts; for a bad line its number and the reason."""
    for line in read_lines(path):
        if not isinstance(line, RawLine):
            yield line
            continue
        try:
            yield maker.make(line)
        except LineError as error:
            yield line.number, error


def canonical(value: Any) -> str:
    """JSON that is equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)


def digest(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """The hash of a file's contents.

    Raises:
        LineError: it cannot be read.
    """
    try:
        state = path.stat()
        return _file_hash(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise LineError(f"{path}: cannot be read: {error.strerror}") from None


@lru_cache(maxsize=4096)
def _file_hash(path: Path, size: int, modified: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
