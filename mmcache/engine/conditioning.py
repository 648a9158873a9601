"""What a call is conditioned on, and whether it still is what it was at the calls before.

A feature belongs to the conditioning that it was computed with: prompts, image embeddings, masks, scales.
Each distinct conditioning of a run has a number. A call's is found by identity first: the same tensors, which
nobody has written to since. Only tensors that are made anew are compared by value, which on a GPU waits for
the device.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from mmcache.engine.leaves import Leaves
from mmcache.engine.seen_tensor import Seen


class Conditioning:
    """One conditioning, as it was when it was last seen.

    Args:
        leaves: what a call is conditioned on.
        others: those known before; a tensor of theirs that has other values now is written in place.
        looks: whether to look at some values of tensors.
    """

    def __init__(self, leaves: Leaves, others: "Iterable[Conditioning]" = (), looks: bool = False) -> None:
        seen = [leaf for other in others for leaf in other.leaves if isinstance(leaf, Seen)]
        self.leaves: Leaves = [
            Seen(leaf, any(then.is_of(leaf) and not then.is_same(leaf) for then in seen), looks)
            if isinstance(leaf, torch.Tensor)
            else leaf
            for leaf in leaves
        ]

    def is_same(self, leaves: Leaves) -> bool:
        """Whether a call has the same conditioning, without a look at the values of tensors."""
        return len(leaves) == len(self.leaves) and all(map(is_same, self.leaves, leaves))

    def is_equal(self, leaves: Leaves) -> bool:
        """Whether it has, by the values of those tensors that are not the same."""
        if len(leaves) != len(self.leaves):
            return False
        pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
        others: list[tuple[Seen, torch.Tensor]] = []
        for then, now in zip(self.leaves, leaves, strict=True):
            if is_same(then, now):
                continue
            values = then.values() if isinstance(then, Seen) and isinstance(now, torch.Tensor) else None
            if values is None or values.shape != now.shape or values.device != now.device:
                return False
            pairs.append((values, now))
            others.append((then, now))
        if not all_equal(pairs):
            return False
        for then, now in others:
            then.see_equal(now)
        return True

    def tensors(self) -> Iterator[torch.Tensor]:
        for leaf in self.leaves:
            if isinstance(leaf, Seen):
                yield from leaf.tensors()


def is_same(then: Any, now: Any) -> bool:
    if isinstance(then, Seen):
        return isinstance(now, torch.Tensor) and then.is_same(now)
    return not isinstance(now, torch.Tensor) and bool(then == now)


def all_equal(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> bool:
    """Whether all pairs have equal values; a device is waited for once, not once for each pair."""
    if len(pairs) < 2 or not any(one.is_cuda for one, _ in pairs):
        return all(torch.equal(one, other) for one, other in pairs)
    device = pairs[0][0].device
    return not torch.stack([(one != other).any().to(device) for one, other in pairs]).any().item()


class Conditionings:
    """The conditionings of one run, each with a number.

    Those are known that calls of this step and of the one before had.

    Args:
        looks: whether somebody's own code runs between the steps, and may write to tensors in ways that torch
            does not count.
    """

    def __init__(self, looks: bool = False) -> None:
        self._looks = looks
        self._before: dict[int, Conditioning] = {}
        self._now: dict[int, Conditioning] = {}
        self._next = 0

    def begin_step(self, looks: bool = False) -> None:
        """Hold nothing more of what only calls of earlier steps had."""
        self._looks = looks
        self._before, self._now = self._now, {}

    def number_of(self, leaves: Leaves) -> int:
        """The number of a call's conditioning: that of an earlier one that it equals, or a new one."""
        number = self._find(leaves)
        if number is None:
            number, self._next = self._next, self._next + 1
            known = (*self._before.values(), *self._now.values())
            self._now[number] = Conditioning(leaves, known, self._looks)
        elif number not in self._now:
            self._now[number] = self._before[number]
        return number

    def _find(self, leaves: Leaves) -> int | None:
        known = {**self._before, **self._now}
        same = (number for number, one in known.items() if one.is_same(leaves))
        number = next(same, None)
        if number is None:
            number = next((number for number, one in known.items() if one.is_equal(leaves)), None)
        return number

    def tensors(self) -> Iterator[torch.Tensor]:
        for known in {**self._before, **self._now}.values():
            yield from known.tensors()
