"""When features may be forecast again behind a change of the prompt, or of what else they depend on.

A denoiser that is given another prompt in mid-run turns to it over several steps, at which its output moves
by up to half of itself and in no steady direction; nothing can be forecast there. So the steps behind such a
change are full until the features move along a line again. Measured on the text-to-image miniature, 30 DDIM
steps, the prompt exchanged at nine places: PSNR to the full run 54.3 dB with 3.6 more full steps, 41.8
without (python -m mmcache_demos.benchmarks.prompt_change).
"""

from collections.abc import Sequence

import torch

from mmcache.plans.forecast import Feature, Observation, lagrange_weights, weighted

MOST_STEPS = 8  # behind a change; features under a sampler that adds noise never move along a line
OFF_THE_LINE = 0.5  # of a feature's movement that may be off the line, in any sample


def moves_on_a_line(past: Sequence[Observation], time: float, feature: Feature) -> bool:
    """Whether a feature continues the line through the last two, in every sample and stream.

    On a GPU it waits for the device.

    Args:
        past: the observations before, the newest last; of fewer than two no line is known.
        time: the feature's.
    """
    if len(past) < 2:
        return False
    last = past[-1].feature
    told = weighted(lagrange_weights(time, [seen.time for seen in past[-2:]]), past[-2:])
    on_line = [
        distance(now, line) <= OFF_THE_LINE * distance(now, then)
        for now, line, then in zip(feature, told, last, strict=True)
    ]
    return all(bool(rows.all()) for rows in on_line)


def distance(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """L2 norm of the difference of each sample, (B,), float32."""
    apart = one.float() - other.float()
    norms: torch.Tensor = apart.reshape(len(apart) if apart.dim() else 1, -1).norm(dim=1)
    return norms
