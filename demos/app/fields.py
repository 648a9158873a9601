"""Which control of the page an error is about."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def field_of(name: str) -> Iterator[None]:
    """Within the block, an error that says no field yet gets this one, for the page to show it there."""
    try:
        yield
    except ValueError as error:
        error.__dict__.setdefault("field", name)
        raise
