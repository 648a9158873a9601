"""Shapes of tensors as words, such as "b h*w in_channels": a word for each dimension.

A word is a number, a letter, an entry of the model's config, or whole numbers made of these with + - * // and
|: `caption_channels|cross_attention_dim` is the first that the config has. An entry that is a list stands for
its length.

Words before the dimensions say what the tensor holds: "long", "bool" and "ones" are all ones, as a mask that
hides nothing, and have contents even where everything else is a shape; "complex" has none. "= word" is no
tensor but the number itself.
"""

import ast
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

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


class If(NamedTuple):
    """An argument that is given only where an entry of the config is set."""

    entry: str
    shape: Any


@dataclass(frozen=True)
class ShapeReader:
    """Makes tensors from shapes.

    Attributes:
        config: of the model.
        letters: the number that each letter stands for.
    """

    config: Mapping[str, Any]
    letters: Mapping[str, int]

    def arguments(self, shapes: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call, by name, without those that this config does not ask for."""
        asked = {
            name: shape
            for name, shape in shapes.items()
            if not isinstance(shape, If) or self.config.get(shape.entry)
        }
        return {name: self.value(shape) for name, shape in asked.items()}

    def value(self, shape: Any) -> Any:
        """A tensor or number; lists, tuples and tables of them where that is what the shapes are in."""
        match shape:
            case str():
                return self._tensor(shape)
            case If():
                return self.value(shape.shape)
            case Each():
                return [self.value(shape.entry) for _ in range(self.number(shape.times))]
            case list() | tuple():
                return type(shape)(self.value(entry) for entry in shape)
            case Mapping():
                return {name: self.value(entry) for name, entry in shape.items()}
        return shape

    def number(self, word: str) -> int:
        return int(self._evaluate(ast.parse(word, mode="eval").body))

    def _tensor(self, shape: str) -> Any:
        kind, _, rest = shape.partition(" ")
        if kind == "=":
            return self.number(rest)
        if kind in ONES:
            return torch.ones(self._sizes(rest), dtype=ONES[kind])
        if kind == "complex":
            return torch.empty(self._sizes(rest), dtype=torch.complex64, device="meta")
        return torch.empty(self._sizes(shape), device="meta")

    def _sizes(self, words: str) -> list[int]:
        return [self.number(word) for word in words.split()]

    def _evaluate(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self.letters[node.id] if node.id in self.letters else self._entry(node.id)
            case ast.BinOp():
                return OPERATORS[type(node.op)](self._evaluate(node.left), self._evaluate(node.right))
        raise ValueError(f"{ast.unparse(node)}: no word of a shape")

    def _entry(self, name: str) -> Any:
        value = self.config.get(name) or 0
        return len(value) if isinstance(value, list | tuple) else value
