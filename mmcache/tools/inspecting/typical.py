"""A usual call of a class of transformer, as data: what it stands for, and a shape for each argument.

A shape is a word for each dimension, such as "b h*w in_channels". A word is a number, a letter, an entry of
the model's config, or whole numbers made of these with + - * // and |: `caption_channels|cross_attention_dim`
is the first that the config has. The letters: b latents; f, h and w the frames, rows and columns of a latent
as the transformer is given them; t tokens of text.

Before the words may stand what the tensor holds: "long", "bool" and "ones" are all ones, as a mask that hides
nothing, and have contents even where everything else is a shape; "complex" has none. "= word" is no tensor
but the number itself.
"""

import ast
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from mmcache.tools.inspecting.size import Size

ONES = {"long": torch.long, "bool": torch.bool, "ones": torch.float32}
OPERATORS: Mapping[type[ast.operator], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.BitOr: lambda one, other: one or other,
}


class Each(NamedTuple):
    """A list with the same entry as often as a word says."""

    times: str
    entry: Any


@dataclass(frozen=True)
class Typical:
    """A usual call of one class.

    Attributes:
        arguments: by name a shape, or lists, tuples and tables of shapes.
        height, width: of the picture or frame in pixels, as words; "0" for what has none.
        frames: of a clip, as a word; of a sound, its latents; "0" for a picture.
        tokens: of the text, as a word; "0" without text.
        across: pixels to a row or column of what the transformer is given: its autoencoder's factor, twice as
            many where the pipeline makes patches of 2x2 beforehand.
        along: frames to one of a latent; the first has one of its own.
        only: by argument, the entry of the config without which it is not given.
    """

    arguments: Mapping[str, Any]
    height: str = "1024"
    width: str = "1024"
    frames: str = "0"
    tokens: str = "0"
    across: int = 8
    along: int = 4
    only: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def call(self, config: Mapping[str, Any], size: Size) -> dict[str, Any]:
        """The arguments, most on the meta device.

        Raises:
            ValueError: the size is none that this class can have.
        """
        known = Known(config, self._letters(config, size))
        return {
            name: made(what, known)
            for name, what in self.arguments.items()
            if name not in self.only or config.get(self.only[name])
        }

    def stands_for(self, config: Mapping[str, Any], size: Size) -> str:
        """A clip of 81 frames of 480x832 pixels, 512 tokens of text."""
        frames, height, width, tokens = self._seen(config, size)
        pixels = f"{height}x{width} pixels"
        if height and frames:
            shown = f"a clip of {frames} frames of {pixels}"
        else:
            shown = f"a picture of {pixels}" if height else f"a sound of {frames} latents" if frames else ""
        return ", ".join(part for part in (shown, f"{tokens} tokens of text" if tokens else "") if part)

    def _seen(self, config: Mapping[str, Any], size: Size) -> tuple[int, int, int, int]:
        """Frames, height and width in pixels, tokens; those that the class does not have are 0."""
        known = Known(config, {})
        usual = [known.number(word) for word in (self.frames, self.height, self.width, self.tokens)]
        asked = (size.frames, size.height, size.width, size.tokens)
        frames, height, width, tokens = (
            wanted if wanted and has else has for wanted, has in zip(asked, usual, strict=True)
        )
        for name, pixels in (("height", height), ("width", width)):
            if pixels % self.across:
                raise ValueError(f"{name}={pixels}: wanted a multiple of {self.across} pixels")
        return frames, height, width, tokens

    def _letters(self, config: Mapping[str, Any], size: Size) -> dict[str, int]:
        frames, height, width, tokens = self._seen(config, size)
        return {
            "b": size.batch,
            "f": (frames - 1) // self.along + 1 if frames else 1,
            "h": height // self.across,
            "w": width // self.across,
            "t": tokens,
        }


class Known(NamedTuple):
    """What words of a shape stand for."""

    config: Mapping[str, Any]
    letters: Mapping[str, int]

    def number(self, word: str) -> int:
        return int(self._value(ast.parse(word, mode="eval").body))

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self.letters[node.id] if node.id in self.letters else self._entry(node.id)
            case ast.BinOp():
                return OPERATORS[type(node.op)](self._value(node.left), self._value(node.right))
        raise ValueError(f"{ast.unparse(node)}: no word of a shape")

    def _entry(self, name: str) -> Any:
        """Of an entry that is a list, its length is what counts."""
        value = self.config.get(name) or 0
        return len(value) if isinstance(value, list | tuple) else value


def made(what: Any, known: Known) -> Any:
    """Tensors and numbers as the words say."""
    match what:
        case str():
            return one(what, known)
        case Each():
            return [made(what.entry, known) for _ in range(known.number(what.times))]
        case list() | tuple():
            return type(what)(made(entry, known) for entry in what)
        case Mapping():
            return {name: made(entry, known) for name, entry in what.items()}
    return what


def one(shape: str, known: Known) -> Any:
    """A tensor, or a number."""
    kind, _, rest = shape.partition(" ")
    if kind == "=":
        return known.number(rest)
    if kind in ONES:
        return torch.ones([known.number(word) for word in rest.split()], dtype=ONES[kind])
    dtype, words = (torch.complex64, rest) if kind == "complex" else (torch.float32, shape)
    return torch.empty([known.number(word) for word in words.split()], dtype=dtype, device="meta")
