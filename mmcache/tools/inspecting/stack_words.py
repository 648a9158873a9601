"""Which blocks of a transformer stay on a cached step, in words."""

from collections.abc import Iterator

from mmcache.layouts.cut import Block, Cut


def words_of_stack(cut: Cut) -> str:
    """transformer_blocks 0-1 of 19 | single_transformer_blocks 36-37 of 38; "" for a U-Net."""
    lists: dict[str, list[Block]] = {}
    for block in cut.blocks:
        lists.setdefault(block.table, []).append(block)
    return " | ".join(
        f"{name} {', '.join(ranges(kept)) or 'none'} of {len(blocks)}"
        for name, blocks in lists.items()
        if len(kept := [block.number for block in blocks if block.runs]) < len(blocks)
    )


def ranges(numbers: list[int]) -> Iterator[str]:
    """0, 1, 2, 7 as 0-2 and 7."""
    first = None
    for place, number in enumerate(numbers):
        first = number if first is None else first
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            yield f"{first}" if first == number else f"{first}-{number}"
            first = None
