"""A Sphinx extension: a section "Returns:" is words, where Google's style has a type before a colon.

Ours have a colon of their own ("The `Session`: `report()`, ..."), and the type is in the annotation.
"""

from typing import Any

from sphinx.application import Sphinx

SECTIONS = ("Returns:", "Yields:")
BEFORE_NAPOLEON = 400  # whose handler has 500


def indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def leave_types_out(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Say that the type is empty, and let the words stand at one indentation, for napoleon to read."""
    for start, line in enumerate(lines):
        if line.strip() not in SECTIONS:
            continue
        inner = indentation(line) + 4
        for number in range(start + 1, len(lines)):
            if indentation(lines[number]) < inner or not lines[number].strip():
                break
            first = ": " if number == start + 1 else ""
            lines[number] = " " * inner + first + lines[number].strip()


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", leave_types_out, priority=BEFORE_NAPOLEON)
    return {"parallel_read_safe": True}
