"""Random masks to train inpainting with, from torch's generator: bool, (128, 128), True where to paint."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from mmcache_demos.portraits.attributes import SIZE


def between(low: float, high: float) -> float:
    """A number of the range, from torch's generator."""
    return low + (high - low) * torch.rand(()).item()


def grown(masks: torch.Tensor, pixels: int) -> torch.Tensor:
    """Masks (N, 128, 128) made wider by some pixels on every side."""
    return F.max_pool2d(masks[:, None].float(), 2 * pixels + 1, stride=1, padding=pixels)[:, 0] > 0


def rectangle() -> torch.Tensor:
    """A box anywhere, from a sixth of the picture's width to nearly all of it."""
    mask = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    height, width = round(between(0.15, 0.9) * SIZE), round(between(0.15, 0.9) * SIZE)
    top, left = round(between(0, SIZE - height)), round(between(0, SIZE - width))
    mask[top : top + height, left : left + width] = True
    return mask


def side() -> torch.Tensor:
    """Everything on one side of a straight cut."""
    mask = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    mask[: round(between(0.3, 0.7) * SIZE)] = True
    return torch.rot90(mask, int(between(0, 4)))


def blobs() -> torch.Tensor:
    """One to four ellipses."""
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    mask = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    for _ in range(int(between(1, 5))):
        across = (columns - between(0, SIZE)) / between(0.08 * SIZE, 0.35 * SIZE)
        down = (rows - between(0, SIZE)) / between(0.08 * SIZE, 0.35 * SIZE)
        mask |= across.square() + down.square() < 1
    return mask


def strokes() -> torch.Tensor:
    """One to three lines of several turns, painted with a round brush."""
    places = torch.stack(torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij"), dim=-1)
    mask = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    for _ in range(int(between(1, 4))):
        corners = torch.rand(int(between(2, 6)), 2) * SIZE
        line = F.interpolate(corners.T[None], size=64, mode="linear", align_corners=True)[0].T
        mask |= torch.cdist(places.flatten(0, 1).float(), line).amin(1).view(SIZE, SIZE) < between(
            SIZE / 21, SIZE / 8
        )
    return mask


def everything() -> torch.Tensor:
    """The whole picture: nothing but the caption says what to paint."""
    return torch.ones(SIZE, SIZE, dtype=torch.bool)


SHAPES: tuple[Callable[[], torch.Tensor], ...] = (rectangle, side, blobs, strokes)
WHOLE_SHARE = 0.1  # of the other shapes
REGION_SHARE = 0.5
LARGEST_GROWTH = 12  # pixels around a region: people paint beyond what they mean


def random_shapes(count: int) -> torch.Tensor:
    """Masks of random kinds, bool (N, 128, 128); some cover everything."""
    kinds = [SHAPES[int(between(0, len(SHAPES)))] for _ in range(count)]
    return torch.stack([everything() if between(0, 1) < WHOLE_SHARE else shape() for shape in kinds])


def random_masks(regions: torch.Tensor, shapes: torch.Tensor) -> torch.Tensor:
    """A mask for each image, bool (N, 128, 128).

    Args:
        regions: what an edit of each image would change, bool (N, 128, 128); half of the masks are
            this, wider.
        shapes: the others are random ones of these, bool (M, 128, 128).
    """
    others = shapes[torch.randint(len(shapes), (len(regions),)).to(shapes.device)]
    wider = grown(regions, int(between(1, LARGEST_GROWTH + 1)))
    edits = (torch.rand(len(regions)) < REGION_SHARE).to(regions.device)
    return torch.where(edits[:, None, None], wider, others)
