"""Which blocks of a transformer stay on a cached step, in words."""

from collections.abc import Iterator

from torch import nn

from mmcache.layouts.cut import Cut
from mmcache.layouts.stand_ins import LooksLike


def words_of_stack(cut: Cut) -> str:
    """transformer_blocks 0-1 of 19 | single_transformer_blocks 36-37 of 38; "" where nothing stands in."""
    return " | ".join(
        f"{swap.key} {', '.join(ranges(kept)) or 'none'} of {len(swap.value)}"
        for swap in cut.shrink
        if isinstance(swap.value, nn.ModuleList)
        and len(kept := [number for number, there in enumerate(swap.value) if runs(there)]) < len(swap.value)
    )


def runs(there: nn.Module) -> bool:
    """Whether the block that had this place runs on a cached step."""
    return not isinstance(there, LooksLike) or there.runs


def ranges(numbers: list[int]) -> Iterator[str]:
    """0, 1, 2, 7 as 0-2 and 7."""
    first = None
    for place, number in enumerate(numbers):
        first = number if first is None else first
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            yield f"{first}" if first == number else f"{first}-{number}"
            first = None
