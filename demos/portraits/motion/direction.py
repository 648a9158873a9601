"""Measures from the pixels of a clip how it moves, and names the motion.

From every frame to the next, the similarity transform (shift, zoom, turn) is found that lays one over the
other, by Gauss-Newton least squares on blurred frames (Lucas and Kanade, 1981). Nothing is trained, and
nothing is known of portraits.
"""

import math

import numpy as np
import torch
from torch.nn import functional as F

from mmcache_demos.portraits.autoencoder import to_tensor
from mmcache_demos.portraits.motion.motions import MOTIONS, SHIFT, ZOOM, Pose

SIGHT = 64  # pixels; larger frames are averaged down to as many
BLURS = (3.0, 1.5)  # pixels: the first finds large shifts, the second makes them exact
ITERATIONS = 8  # for each blur
BORDER = 4.0  # pixels at each side that are left out: there, a frame shows what the one before does not
# Less than this share of a whole motion counts as standing still.
LEAST = 0.35


@torch.no_grad()
def pose_over_clip(frames: np.ndarray) -> Pose:
    """The pose at the end of a clip as seen from the pose at its start.

    Args:
        frames: uint8 (frames, 64, 64, 3) or larger.
    """
    pictures = F.adaptive_avg_pool2d(to_tensor(frames), SIGHT)
    steps = torch.zeros(len(frames) - 1, 4)
    for blur in BLURS:
        blurred = _blurred(pictures, blur)
        for _ in range(ITERATIONS):
            steps = steps + _correction(blurred[:-1], blurred[1:], steps)
    whole = torch.eye(3)
    for grows, turns, right, down in steps.tolist():
        one = torch.tensor([[1 + grows, -turns, right], [turns, 1 + grows, down], [0.0, 0.0, 1.0]])
        whole = one @ whole
    (zoomed, _, right), (turned, _, down), _ = whole.tolist()
    return Pose(right, down, math.hypot(zoomed, turned), math.degrees(math.atan2(turned, zoomed)))


def _blurred(pictures: torch.Tensor, deviation: float) -> torch.Tensor:
    reach = round(3 * deviation)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
    kernel = (kernel / kernel.sum()).expand(pictures.shape[1], 1, 1, -1)
    padded = F.pad(pictures, (reach,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel, groups=pictures.shape[1])
    return F.conv2d(rows, kernel.transpose(2, 3), groups=pictures.shape[1])


def _correction(first: torch.Tensor, second: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """One Gauss-Newton step.

    Args:
        first, second: pictures (N, 3, 64, 64) before and after.
        steps: the transforms so far, (N, 4): growth, turn, right and down. A place (x, y) about the
            centre goes to ((1 + growth) x - turn y + right, turn x + (1 + growth) y + down).
    """
    line = torch.arange(SIGHT) + 0.5 - SIGHT / 2
    y, x = torch.meshgrid(line, line, indexing="ij")
    grows, turns, right, down = steps[:, :, None, None].unbind(1)
    to_x, to_y = (1 + grows) * x - turns * y + right, turns * x + (1 + grows) * y + down
    places = torch.stack([to_x, to_y], dim=-1) / (SIGHT / 2)
    down_slope, right_slope = torch.gradient(second, dim=(2, 3))
    sampled = F.grid_sample(
        torch.cat([second, right_slope, down_slope], dim=1),
        places,
        padding_mode="border",
        align_corners=False,
    )
    there, gx, gy = sampled.chunk(3, dim=1)
    inside = torch.stack([x.abs().expand_as(to_x), y.abs().expand_as(to_x), to_x.abs(), to_y.abs()]).amax(
        dim=0
    )
    seen = (inside < SIGHT / 2 - BORDER).unsqueeze(1)
    slopes = torch.stack([gx * x + gy * y, gy * x - gx * y, gx, gy], dim=-1) * seen.unsqueeze(-1)
    slopes, missing = slopes.flatten(1, 3), ((first - there) * seen).flatten(1)
    normal = slopes.transpose(1, 2) @ slopes + 1e-3 * torch.eye(4)
    return torch.linalg.solve(normal, (slopes.transpose(1, 2) @ missing.unsqueeze(-1)).squeeze(-1))


def shares(pose: Pose) -> dict[str, float]:
    """How much of each motion a pose over a clip is: 1 for the whole of it, less than 0 for its opposite."""
    sideways, upright = pose.right / SHIFT, pose.down / SHIFT
    growth = math.log(max(pose.zoom, 1e-3)) / math.log(ZOOM)
    return {
        "left": -sideways,
        "right": sideways,
        "up": -upright,
        "down": upright,
        "in": growth,
        "out": -growth,
    }


def shown_motion(frames: np.ndarray) -> str:
    """The name of the motion that a clip, uint8 (frames, 64, 64, 3) or larger, shows most of."""
    found = shares(pose_over_clip(frames))
    best = max(found, key=lambda name: found[name])
    return best if found[best] >= LEAST else "still"


def agreement(names: list[str], seen: list[str]) -> dict[str, float]:
    """Of the clips of each motion, the share in which that motion was seen."""
    return {
        name: sum(s == name for n, s in zip(names, seen, strict=True) if n == name) / names.count(name)
        for name in MOTIONS
        if name in names
    }
