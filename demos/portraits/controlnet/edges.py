"""Edges of pictures by Canny's method, on colours: two fabrics of one brightness still have an edge.

Smooth, take the gradient of the colour channel in which it is steepest, keep its ridges, and of these the
strong ones and the weak ones that touch them (Canny, "A Computational Approach to Edge Detection", 1986).
"""

import numpy as np
import torch
from torch.nn import functional as F

STRONG, WEAK = 0.25, 0.12  # the change of a colour over one pixel, of a range of 1
SMOOTH = (0.25, 0.5, 0.25)  # in each direction: the pictures have no noise, only narrow shapes


def edges(pixels: np.ndarray) -> np.ndarray:
    """Where the edges are: uint8 images (N, 128, 128, 3) to bool (N, 128, 128)."""
    return edges_of(torch.tensor(np.asarray(pixels)).permute(0, 3, 1, 2).float() / 255).numpy()


def edges_of(images: torch.Tensor) -> torch.Tensor:
    """Where the edges are: images (N, 3, 128, 128) in [0, 1] to bool (N, 128, 128), on the same device."""
    colors = images.flatten(0, 1)[:, None]
    smooth = torch.tensor(SMOOTH, device=images.device)
    slope = torch.tensor((-0.5, 0.0, 0.5), device=images.device)
    kernels = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)])[:, None] * 2
    colors = F.conv2d(F.pad(colors, (1, 1, 1, 1), mode="replicate"), torch.outer(smooth, smooth)[None, None])
    gradients = F.conv2d(F.pad(colors, (1, 1, 1, 1), mode="replicate"), kernels)
    gradients = gradients.unflatten(0, (len(images), 3))  # (N, colours, across and down, 128, 128)
    steepest = gradients.norm(dim=2, keepdim=True).argmax(dim=1, keepdim=True)
    across, down = torch.take_along_dim(gradients, steepest, dim=1)[:, 0].unbind(1)
    return _connected(_ridges(across, down))


def _ridges(across: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """The steepness where no neighbour along the gradient is steeper, 0 elsewhere; all (N, 128, 128)."""
    steepness = torch.hypot(across, down)
    padded = F.pad(steepness, (1, 1, 1, 1))
    height, width = steepness.shape[1:]
    # The gradient's direction in eighths of a turn; opposite directions have the same neighbours.
    direction = (torch.atan2(down, across) / (torch.pi / 4)).round().long() % 4
    ridges = torch.zeros_like(steepness)
    for number, (right, below) in enumerate(((1, 0), (1, 1), (0, 1), (-1, 1))):
        ahead = padded[:, 1 + below : 1 + below + height, 1 + right : 1 + right + width]
        behind = padded[:, 1 - below : 1 - below + height, 1 - right : 1 - right + width]
        # Strictly steeper than one of them: of two equal neighbours, one is kept.
        kept = (direction == number) & (steepness >= ahead) & (steepness > behind)
        ridges = torch.where(kept, steepness, ridges)
    return ridges


def _connected(ridges: torch.Tensor) -> torch.Tensor:
    """The strong ridges, and the weak ones connected to them: bool, (N, 128, 128)."""
    weak, found = ridges > WEAK, ridges > STRONG
    while True:
        spread = (F.max_pool2d(found[:, None].float(), 3, stride=1, padding=1)[:, 0] > 0) & weak
        if torch.equal(spread, found):
            return found
        found = spread


def edge_pictures(pixels: np.ndarray) -> np.ndarray:
    """The edges as white lines on black, for the pipeline's `image`: uint8, (N, 128, 128, 3)."""
    return np.repeat(edges(pixels)[..., None], 3, axis=-1).astype(np.uint8) * 255


def near(lines: np.ndarray, pixels: int) -> np.ndarray:
    """Where there is a line within some pixels, bool (N, 128, 128)."""
    wide = F.max_pool2d(
        torch.tensor(np.ascontiguousarray(lines))[:, None].float(), 2 * pixels + 1, stride=1, padding=pixels
    )
    return (wide[:, 0] > 0).numpy()


def agreement(drawn: np.ndarray, asked: np.ndarray, tolerance: int = 2) -> np.ndarray:
    """F1 score of drawn against asked edges, bool (N, 128, 128) each, for every picture: (N,).

    A drawn edge is right if an asked one is within the tolerance, an asked one is found if a drawn one is.
    """
    precision = (drawn & near(asked, tolerance)).sum((1, 2)) / np.maximum(drawn.sum((1, 2)), 1)
    recall = (asked & near(drawn, tolerance)).sum((1, 2)) / np.maximum(asked.sum((1, 2)), 1)
    return 2 * precision * recall / np.maximum(precision + recall, 1e-9)
