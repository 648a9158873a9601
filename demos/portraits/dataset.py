"""Renders many portraits once, in several processes, and keeps them in a work folder."""

import multiprocessing
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mmcache_demos.portraits.attributes import SIZE, Portrait, random_portrait

# Portraits of different splits never share a seed.
SPLIT_OFFSETS = {
    name: number * 10**9
    for number, name in enumerate(
        ("train", "held-out", "classifier", "classifier-held-out", "evaluation", "trade-off")
    )
}


def seeds(split: str, count: int) -> range:
    """The seeds of the first `count` portraits of a split."""
    return range(SPLIT_OFFSETS[split], SPLIT_OFFSETS[split] + count)


@dataclass(frozen=True)
class Pictures:
    """Portraits and their images, uint8 of shape (count, 128, 128, 3), in the same order."""

    portraits: list[Portrait]
    pixels: np.ndarray


def pictures(split: str, count: int, folder: Path) -> Pictures:
    """The first `count` images of a split, rendered unless `folder` already holds them."""
    portraits = [random_portrait(seed) for seed in seeds(split, count)]
    stored = folder / f"{split}-{count}-{SIZE}px.npy"
    if not stored.exists():
        # Here, since whoever only judges pictures needs nothing to draw them with.
        from mmcache_demos.portraits.drawing import draw

        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.empty((count, SIZE, SIZE, 3), np.uint8)
        # spawn: forking a process that has used torch's threads can hang.
        with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
            drawn = pool.imap(draw, portraits, chunksize=64)
            for index, picture in enumerate(tqdm(drawn, f"drawing {split}", total=count)):
                pixels[index] = picture
        unfinished = stored.with_suffix(".unfinished.npy")
        np.save(unfinished, pixels)
        unfinished.replace(stored)
    return Pictures(portraits, np.load(stored, mmap_mode="r"))
