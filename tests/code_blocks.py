"""Runs the Python of the documentation: pipelines are small and random, runs are short."""

import ast
import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
HEADING = re.compile(r"^#{2,3} (.*)$", re.MULTILINE)
BLOCK = re.compile(r"^ *```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

# Settings of a call that only make it smaller.
SMALLER: Mapping[str, Any] = {"num_inference_steps": 6, "audio_end_in_s": 2.0, "decode_chunk_size": 2}


def blocks(page: str) -> dict[str, list[str]]:
    """The Python blocks of a page in docs/, by the heading above them; "" for those above the first."""
    text = (DOCS / page).read_text(encoding="utf-8")
    _, *parts = HEADING.split(f"\n## \n{text}")
    sections = zip(parts[::2], parts[1::2], strict=True)
    found = {heading: [textwrap.dedent(code) for code in BLOCK.findall(text)] for heading, text in sections}
    return {heading: codes for heading, codes in found.items() if codes}


class Smaller(ast.NodeTransformer):
    """Shortens runs and keeps everything on the CPU; no other part of the code is changed."""

    def __init__(self, sizes: Mapping[str, Any]) -> None:
        self._sizes = SMALLER | dict(sizes)

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        if node.arg in self._sizes and isinstance(node.value, ast.Constant):
            node.value = ast.copy_location(ast.Constant(self._sizes[node.arg]), node.value)
        self.generic_visit(node)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.copy_location(ast.Constant("cpu"), node) if node.value == "cuda" else node


def run(
    code: str, sizes: Mapping[str, Any] | None = None, names: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Run a block; its names afterwards.

    Args:
        code: of the block.
        sizes: values of keyword arguments that stand in for those of the block, such as `height`.
        names: that the block finds.
    """
    tree = ast.fix_missing_locations(Smaller(sizes or {}).visit(ast.parse(code)))
    space: dict[str, Any] = {"__name__": "block", **(names or {})}
    exec(compile(tree, "<block of the documentation>", "exec"), space)  # the documentation's own code
    return space


def loading(monkeypatch: Any, makers: Mapping[str, Callable[..., Any]]) -> None:
    """Let `from_pretrained` build small random pipelines and models.

    Args:
        makers: by the name of a class; each is given the parts that the call names.
    """
    from diffusers import DiffusionPipeline, ModelMixin

    def from_pretrained(cls: Any, *_: Any, torch_dtype: Any = None, **parts: Any) -> Any:
        return makers[cls.__name__](**parts)

    for base in (DiffusionPipeline, ModelMixin):
        monkeypatch.setattr(base, "from_pretrained", classmethod(from_pretrained))
