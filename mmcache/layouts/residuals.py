"""Which residuals of a side network a cached step of a transformer reads.

A ControlNet gives residuals for a transformer's blocks. Each class has a rule that says which block gets
which: it is added behind that block, or given to it. A residual that only feeds blocks which do not run is
not read, so it need not be computed.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mmcache.layouts.cut import Given
from mmcache.patching.swap import Swap, swap_child

Rule = Callable[[int, int, Sequence[int], Any], int | None]
"""From the number of a block, how many blocks there are, the keys of the residuals and the transformer's
config to the key of the block's residual; None where it has none."""


def spread(number: int, blocks: int, keys: Sequence[int], config: Any) -> int | None:
    """A residual serves as many neighbouring blocks as it takes (Flux, Qwen-Image)."""
    return number // math.ceil(blocks / len(keys))


def spread_evenly(number: int, blocks: int, keys: Sequence[int], config: Any) -> int | None:
    """The same, as evenly as it goes, and none for the last block (Stable Diffusion 3)."""
    return int(number / (blocks / len(keys))) if number < blocks - 1 else None


def from_the_second(number: int, blocks: int, keys: Sequence[int], config: Any) -> int | None:
    """One each for the blocks behind the first (Sana)."""
    return number - 1 if 0 < number <= len(keys) else None


def by_number(number: int, blocks: int, keys: Sequence[int], config: Any) -> int | None:
    """The key is the number of the block (Z-Image)."""
    return number if number in keys else None


def mirrored(number: int, blocks: int, keys: Sequence[int], config: Any) -> int | None:
    """The first is for the last block, as with the skip connections of a U-Net (Hunyuan-DiT)."""
    return blocks - 1 - number if number > blocks // 2 else None


def every(setting: str) -> Rule:
    """One for every so many'th block, as the config says (Cosmos)."""

    def rule(number: int, blocks: int, keys: Sequence[int], config: Any) -> int | None:
        return None if number % config[setting] else number // config[setting]

    return rule


def listed(setting: str) -> Rule:
    """One for each of the blocks that the config lists (Wan VACE)."""

    def rule(number: int, blocks: int, keys: Sequence[int], config: Any) -> int | None:
        return list(config[setting]).index(number) if number in config[setting] else None

    return rule


@dataclass(frozen=True)
class Residuals:
    """Residuals for the blocks of one list.

    Attributes:
        blocks: the name of the list.
        rule: which block gets which.
        argument: of the model's forward, by which they come, in a list or by number; "" where the model makes
            them itself.
        inside: they are given to the blocks, not added behind them.
        repeated: the argument of the model's forward that says that they are dealt out in turn, whatever the
            rule is; "" if there is none.
        made_by: the list of the model's own blocks that make them, one each, one after another.
    """

    blocks: str
    rule: Rule
    argument: str = ""
    inside: bool = False
    repeated: str = ""
    made_by: str = ""


class NoResidual(nn.Module):
    """Stands where one of a model's own blocks stood that makes a residual which nobody reads.

    Returns:
        Nothing to add, and the stream of these blocks as it came.
    """

    def __init__(self, stream: int) -> None:
        super().__init__()
        self.stream = stream  # its place among the arguments

    def forward(self, *args: Any) -> tuple[torch.Tensor, torch.Tensor]:
        stream = args[self.stream]
        return stream.new_zeros(()), stream


@dataclass(frozen=True, eq=False)
class ResidualsRead:
    """What a cached step at one branch reads.

    Attributes:
        model: the transformer.
        residuals: those that it takes, in the order in which a side network gives them.
        left_out: by list, the numbers of the blocks that do not run.
        unseen: by list, the numbers of the blocks behind which nothing is seen of what is added there.
    """

    model: nn.Module
    residuals: tuple[Residuals, ...]
    left_out: Mapping[str, frozenset[int]]
    unseen: Mapping[str, frozenset[int]]

    def keys(self, of: Residuals, keys: Sequence[int], repeated: bool) -> set[int]:
        """Which of the residuals with these keys are read."""
        if not keys:
            return set()
        blocks = len(getattr(self.model, of.blocks))
        unread = (self.left_out if of.inside else self.unseen).get(of.blocks, frozenset())
        reading = [number for number in range(blocks) if number not in unread]
        if repeated and of.repeated:
            return {number % len(keys) for number in reading}
        found = (of.rule(number, blocks, keys, getattr(self.model, "config", None)) for number in reading)
        return {key for key in found if key is not None}

    def needed(self, given: Given) -> int | None:
        """How many of the first residuals of a side network have to be computed; None: it is not known which
        it gives.
        """
        if not given.keys:
            return None
        last = before = 0
        for of, keys in zip(self.residuals, given.keys, strict=False):
            read = self.keys(of, keys, given.repeated)
            last = max([last, *(before + place + 1 for place, key in enumerate(keys) if key in read)])
            before += len(keys)
        return last

    def arguments(self, call: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call, with a zero for each residual that is not read."""
        call = dict(call)
        for of in self.residuals:
            given = call.get(of.argument)
            if given is None:
                continue
            numbered = isinstance(given, dict)
            pairs = list(given.items() if numbered else enumerate(given))
            read = self.keys(of, [key for key, _ in pairs], bool(call.get(of.repeated)))
            kept = {key: value if key in read else nothing(value) for key, value in pairs}
            call[of.argument] = kept if numbered else list(kept.values())
        return call

    def swaps(self) -> Iterator[Swap]:
        """The model's own blocks that make residuals, without those that are not needed."""
        for of in self.residuals:
            if of.made_by:
                makers: Any = getattr(self.model, of.made_by)
                read = self.keys(of, range(len(makers)), repeated=False)
                needed = max(read, default=-1) + 1
                # hidden states, text, the stream of control
                left = [NoResidual(stream=2) for _ in range(len(makers) - needed)]
                yield swap_child(self.model, of.made_by, nn.ModuleList([*makers[:needed], *left]))


def nothing(like: torch.Tensor) -> torch.Tensor:
    """A zero that can be added to whatever `like` can be added to; `like` is not looked at."""
    return torch.zeros((), dtype=like.dtype, device=like.device)
