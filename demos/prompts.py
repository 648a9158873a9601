"""Prompts of the shipped miniatures, for commands that are called without any."""

from collections.abc import Sequence
from typing import NamedTuple

from mmcache.tools.quality.figures import Figure

PORTRAITS = ("text-to-image", "transformer")
CLIPS = "text-to-video"


class Captions(NamedTuple):
    """Prompts, and figures of how well images show what the prompts say."""

    prompts: list[str]
    figures: Sequence[Figure] = ()


def prompts_for(miniature: str, count: int, fallback: str) -> Captions:
    """Captions that nothing was trained on.

    Args:
        miniature: its name.
        count: how many.
        fallback: the prompt of a miniature with an input image, which the prompt has to suit. It is repeated,
            each time with other noise.
    """
    if miniature in PORTRAITS:
        from mmcache_demos.portraits.attribute_accuracy import accuracy_figure, fresh_captions

        asked = fresh_captions(count)
        return Captions([one.caption.text for one in asked], [accuracy_figure(asked)])
    if miniature == CLIPS:
        from mmcache_demos.portraits.motion.clips import clips

        return Captions([clip.text for clip in clips("trade-off", count)])
    return Captions([fallback] * count)
