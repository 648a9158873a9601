"""Whether a drawn portrait has what its caption names: the miniature's figure in place of a CLIP score."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmcache.tools.media.side_by_side import eight_bits
from mmcache.tools.quality.figures import Figure
from mmcache_demos.portraits.attributes import Portrait, random_portrait
from mmcache_demos.portraits.captions import Caption, caption
from mmcache_demos.portraits.classifier import AttributeClassifier, load_classifier
from mmcache_demos.portraits.dataset import seeds

AVERAGED = ("glasses", "hat", "hair_color", "clothing_color")
SPLIT = "trade-off"


class Asked(NamedTuple):
    """A portrait, and the caption that asks for it."""

    portrait: Portrait
    caption: Caption


def fresh_captions(count: int) -> list[Asked]:
    """The first captions of those that nothing was trained on and nothing else is judged by."""
    return [
        Asked(random_portrait(seed), caption(random_portrait(seed), seed)) for seed in seeds(SPLIT, count)
    ]


def as_asked(
    classifier: AttributeClassifier, asked: Sequence[Asked], pixels: np.ndarray
) -> list[dict[str, bool]]:
    """For each picture: of the fields that its caption names, whether the classifier agrees.

    Args:
        classifier: names what it sees.
        asked: what was asked for.
        pixels: what was drawn, uint8 (N, 128, 128, 3).
    """
    return [
        {field: seen[field] == getattr(portrait, field) for field in sorted(words.named & seen.keys())}
        for (portrait, words), seen in zip(asked, classifier.name(pixels), strict=True)
    ]


def accuracy_figure(asked: Sequence[Asked]) -> Figure:
    """The share of glasses, hat, hair colour and clothing colour that is as the caption names it, in percent.

    A picture whose caption names none of them has no such figure.
    """
    classifier = load_classifier()
    by_text = {one.caption.text: one for one in asked}

    def measure(pictures: np.ndarray, reference: np.ndarray, prompts: Sequence[str]) -> list[float | None]:
        found = as_asked(classifier, [by_text[text] for text in prompts], eight_bits(pictures))
        return [share({field: answers[field] for field in AVERAGED if field in answers}) for answers in found]

    return Figure("attribute_accuracy", "drawn as asked, %", measure, digits=1, of_full=True)


def share(answers: dict[str, bool]) -> float | None:
    return 100 * sum(answers.values()) / len(answers) if answers else None
