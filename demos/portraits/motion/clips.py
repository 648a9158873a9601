"""What clips of moving portraits show, and the words for it."""

import itertools
from dataclasses import dataclass

from mmcache_demos.portraits.attributes import Portrait, random_portrait
from mmcache_demos.portraits.captions import Caption, caption
from mmcache_demos.portraits.motion.motions import MOTIONS

# Apart from the seeds of every split in `dataset`, which begin at multiples of 10**9.
FIRST_SEEDS = {
    "train": 100 * 10**9,
    "held-out": 101 * 10**9,
    "evaluation": 102 * 10**9,
    "trade-off": 103 * 10**9,
}

# From one round of all motions to the next: room for more motions that leave all portraits as they are.
SEEDS_OF_ROUND = 10
# Of a caption with its motion: at most 32 tokens of 40, so that those for the frames stay free, see `words`.
MOST_WORDS = 18


@dataclass(frozen=True)
class Clip:
    """A portrait and what it does; the caption names the motion last."""

    portrait: Portrait
    motion: str
    caption: Caption

    @property
    def text(self) -> str:
        words = MOTIONS[self.motion].words
        return f"{self.caption.text}, {words}" if words else self.caption.text


def clips(split: str, count: int) -> list[Clip]:
    """The first `count` clips of a split: every motion equally often, in turn."""
    names = list(MOTIONS)
    found = []
    for number in range(count):
        round_number, place = divmod(number, len(names))
        found.append(_clip(FIRST_SEEDS[split] + SEEDS_OF_ROUND * round_number + place, names[place]))
    return found


def _clip(seed: int, motion: str) -> Clip:
    portrait = random_portrait(seed)
    ways = (Clip(portrait, motion, caption(portrait, seed + way * 10**12)) for way in itertools.count())
    return next(clip for clip in ways if len(clip.text.split()) <= MOST_WORDS)
