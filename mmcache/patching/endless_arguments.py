"""Arguments of a call that contain themselves, or are nested deeper than Python can follow.

What a call is given is looked through many times: for its signature, its shapes, its gradients. A container
without an end exhausts Python's stack at the first of them, with an error that names nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

MOST = 100  # levels; Python's own limit is ten times as much, and pytree takes several frames a level


def endless_argument(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """What to call the first argument that goes deeper than `MOST`; "" if there is none."""
    named = [*((f"number {place + 1}", value) for place, value in enumerate(args)), *kwargs.items()]
    return next((name for name, value in named if is_endless(value)), "")


def is_endless(value: Any) -> bool:
    """Whether some way through containers is longer than `MOST`; each container once a level."""
    level = {id(value): value}
    for _ in range(MOST):
        level = {id(entry): entry for container in level.values() for entry in entries_of(container)}
        if not level:
            return False
    return True


def entries_of(value: Any) -> Iterator[Any]:
    """The containers in a container."""
    if isinstance(value, dict | list | tuple):
        entries = value.values() if isinstance(value, dict) else value
        yield from (entry for entry in entries if isinstance(entry, dict | list | tuple))


def refuse_endless(
    error: RecursionError, model: nn.Module | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Say which argument has exhausted Python's stack, if one has.

    Raises:
        ValueError: an argument contains itself, or is nested too deep.
    """
    if name := endless_argument(args, kwargs):
        kind = "model" if model is None else type(model).__name__
        raise ValueError(
            f"argument {name} of {kind} contains itself, or is nested more than {MOST} levels deep, and "
            f"mmcache has to look through all that a call is given: take out what refers back, or call "
            f"session.restore() first"
        ) from error
