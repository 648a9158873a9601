"""Names of branches: numbers from the outermost skip connection inwards, and one that keeps nothing.

Where nothing stays, no layer of the denoiser runs on a cached step: its output is forecast itself.
"""

from collections.abc import Sequence
from typing import Any

NONE = "none"
"""The branch that keeps nothing, as plans and files name it."""

NOTHING = -1
"""The same as a number: it lies outside of branch 0, the outermost one that keeps something."""


def branch_number(branch: Any) -> int:
    """The number of a branch, `NOTHING` for "none".

    Raises:
        ValueError: it is neither a number of at least 0 nor "none".
    """
    if branch == NONE:
        return NOTHING
    if isinstance(branch, bool) or not isinstance(branch, int) or branch < 0:
        raise ValueError(
            f"Plan(branch={branch!r}): branch must be a whole number of at least 0 (0 is the outermost skip "
            f'connection), or "none" to forecast the output'
        )
    return branch


def branch_name(number: int | None) -> int | str | None:
    """A branch as plans and files have it, from its number; None, a full step, stays None."""
    return NONE if number == NOTHING else number


def branch_words(branch: int | str | Sequence[int | str]) -> str:
    """The branch of a plan in words."""
    several = isinstance(branch, Sequence) and not isinstance(branch, str)
    return f"a branch per step ({len(branch)})" if several else f"branch {branch}"  # type: ignore[arg-type]
