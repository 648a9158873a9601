"""Edits of portraits: one attribute gets another value, and a mask covers what that changes."""

import random
from dataclasses import dataclass, replace

import numpy as np

from mmcache_demos.portraits.attributes import VALUES, Portrait
from mmcache_demos.portraits.drawing import draw

EDITED = ("hat", "hair_color", "clothing_color", "background", "glasses")
# These change their shape with their value, and masks are not to give the shape away.
BOXED = ("hat", "glasses")


@dataclass(frozen=True)
class Edit:
    """A portrait, the attribute that is to change, and the portrait with its new value."""

    source: Portrait
    field: str
    asked: Portrait


def editable(portrait: Portrait) -> list[str]:
    """The fields of `EDITED` that can be seen in the portrait."""
    return [field for field in EDITED if field != "hair_color" or portrait.shows_hair_color]


def random_edit(source: Portrait, field: str, seed: int) -> Edit:
    """The field gets one of its other values, chosen by the seed."""
    others = [value for value in VALUES[field] if value != getattr(source, field)]
    return Edit(source, field, replace(source, **{field: random.Random(seed).choice(others)}))


def changed_pixels(edit: Edit) -> np.ndarray:
    """Where the pictures before and after the edit differ, bool (128, 128); of shapes, the box around it."""
    before, after = draw(edit.source).astype(int), draw(edit.asked).astype(int)
    changed = np.abs(before - after).max(axis=-1) > 16
    if edit.field in BOXED:
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return changed


def changed_pixels_of_a_random_edit(portrait: Portrait, seed: int) -> np.ndarray:
    """`changed_pixels` of an edit chosen by the seed."""
    return changed_pixels(random_edit(portrait, random.Random(seed).choice(editable(portrait)), seed))
