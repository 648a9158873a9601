"""What the shipped miniatures are asked for where nobody gives prompts."""

from collections.abc import Sequence
from typing import NamedTuple

from mmcache.tools.quality.quality import Figure

PORTRAITS = ("text-to-image", "transformer")
CLIPS = "text-to-video"


class Asked(NamedTuple):
    """Prompts, and the figures that say whether what is drawn is what they ask for."""

    prompts: list[str]
    figures: Sequence[Figure] = ()


def prompts_for(miniature: str, count: int, fallback: str) -> Asked:
    """Captions that nothing was trained on.

    Args:
        miniature: its name.
        count: how many.
        fallback: for a miniature that is given a picture, which the prompt has to suit: this one, again and
            again (each time from other noise).
    """
    if miniature in PORTRAITS:
        from mmcache_demos.portraits.attribute_accuracy import accuracy_figure, fresh_captions

        asked = fresh_captions(count)
        return Asked([one.caption.text for one in asked], [accuracy_figure(asked)])
    if miniature == CLIPS:
        from mmcache_demos.portraits.motion.clips import clips

        return Asked([clip.text for clip in clips("trade-off", count)])
    return Asked([fallback] * count)
