"""The streams of a block, read from the source of its forward: for models that no adapter describes.

A block hands on those of its arguments that it returns: `return encoder_hidden_states, hidden_states` are two
streams, in that order. A block that returns one thing hands on its first argument, or the argument of that
name.
"""

import ast
import functools
import inspect
import textwrap
from typing import Any

from torch import nn

from mmcache.errors import UnsupportedPipelineError
from mmcache.layouts.block_streams import plain


def streams_of(block: nn.Module) -> tuple[str, ...]:
    """The streams of a block, in the order in which it returns them.

    Raises:
        UnsupportedPipelineError: its forward does not show them.
    """
    kind: Any = type(plain(block))
    return streams_of_class(kind)


@functools.cache  # sources are read, which takes a millisecond, and a model has dozens of blocks of one class
def streams_of_class(kind: Any) -> tuple[str, ...]:
    """The streams of the blocks of a class.

    Raises:
        UnsupportedPipelineError: its forward does not show them.
    """
    names = list(inspect.signature(kind.forward).parameters)[1:]
    found = {streams_in(node, names) for node in returns(kind)}
    if len(found) != 1 or () in found:
        raise UnsupportedPipelineError(
            f"{kind.__name__}.forward does not show which of its arguments it hands on"
        )
    return found.pop()


def returns(kind: type[nn.Module]) -> list[ast.expr]:
    """What the return statements of a class's forward return; none where its source is not there."""
    try:
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(kind.forward)))
    except (OSError, TypeError):
        return []
    function = ast.parse(source).body[0]
    inner = [node for node in ast.walk(function) if isinstance(node, ast.FunctionDef | ast.Lambda)][1:]
    nested = {id(node) for one in inner for node in ast.walk(one)}
    return [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Return) and node.value is not None and id(node) not in nested
    ]


def streams_in(returned: ast.expr, names: list[str]) -> tuple[str, ...]:
    """The arguments that an expression hands on; () where that is not to be seen."""
    if isinstance(returned, ast.Tuple):
        found = tuple(entry.id for entry in returned.elts if isinstance(entry, ast.Name))
        return found if len(found) == len(returned.elts) and set(found) <= set(names) else ()
    if isinstance(returned, ast.Name) and returned.id in names:
        return (returned.id,)
    # A block that leaves its work to a child may return whatever the child does.
    child = isinstance(returned, ast.Call) and ast.unparse(returned.func).startswith("self.")
    return () if child else tuple(names[:1])
