"""How one latent goes on from another: what tells a sampling run, and one of its lanes, from anything else.

From one step to the next a sampler moves a latent a little. Another image, another window or fresh noise
points somewhere else altogether: the cosine between two latents tells, however they are scaled.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

ALIKE = 0.9  # the cosine of a latent and the one that it continues, at least
STILL = 0.999  # that of latents that nothing has changed
AT_LEAST = 0.5  # where a sampler adds noise, or a pipeline changes latents between its steps
SLACK = 0.1  # by which the cosine may fall from one step to the next
# What is left of a latent beside a sampler's step, at most; rounding of half precision included.
MADE_OF = 0.05
LEAST_SLICE = 128  # numbers in a slice that is known to stand still; fewer may do so by chance
CHANCE = 0.25  # of the other numbers, this share may be equal in half precision

Latent = Sequence[torch.Tensor]
"""A latent, or a list of one for each image."""


def tensors_in(value: Any) -> list[torch.Tensor]:
    """The tensors that a denoiser is given or returns: one, or those in a tuple, a list or an output."""
    if isinstance(value, torch.Tensor):
        return [value]
    leaves = tree_leaves(tuple(value.values()) if isinstance(value, Mapping) else value)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def returned_latent(result: Any) -> torch.Tensor | None:
    """The latent that a sampler's `step` has returned: alone, in a tuple or in an output of diffusers."""
    return next(iter(tensors_in(getattr(result, "prev_sample", result))), None)


def version_of(tensor: torch.Tensor) -> int | None:
    """How often a tensor was written to; of those made in `torch.inference_mode` nobody counts it."""
    return None if tensor.is_inference() else tensor._version


def cosine(now: Latent, then: Latent) -> torch.Tensor | None:
    """The cosine between two latents, of the image that is least alike, 0-d; None where shapes differ.

    Guidance that begins or ends changes the number of rows: then those that both have are compared.
    """
    if len(now) != len(then) or any(
        one.shape[1:] != other.shape[1:] for one, other in zip(now, then, strict=False)
    ):
        return None
    pairs = zip(*common_rows(now, then), strict=True)
    return torch.stack([row_cosines(one, other).diagonal().min() for one, other in pairs]).min()


def row_cosines(now: torch.Tensor, then: torch.Tensor) -> torch.Tensor:
    """The cosines between the rows of two batches, (B, B)."""
    one, other = (part.reshape(len(part) if part.dim() > 1 else 1, -1).float() for part in (now, then))
    of_one, of_other = one.norm(dim=1)[:, None], other.norm(dim=1)
    lengths = of_one * of_other
    return torch.where(lengths > 0, one @ other.T / lengths, (of_one == of_other).float())


def continues(now: Latent, then: Latent, least: float = ALIKE) -> tuple[bool, float]:
    """Whether each image of a latent goes on from the one in its own row; on a GPU it waits for the device.

    Rows that change places, as particles that are resampled do, go on from each other's.

    Returns:
        That, and the cosine of the image that is least alike.
    """
    if len(now) != len(then) or any(one.shape != other.shape for one, other in zip(now, then, strict=False)):
        return False, -1.0
    found = [row_cosines(one, other.to(one.device)) for one, other in zip(now, then, strict=True)]
    own = torch.stack([cosines.diagonal().min() for cosines in found]).min()
    apart = torch.stack([(cosines.amax(1) - cosines.diagonal()).max() for cosines in found]).max()
    alike, other_row = torch.stack([own, apart]).tolist()
    return alike >= least and other_row <= 1e-3, alike


def common_rows(now: Latent, then: Latent) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    rows = [min(len(one), len(other)) if one.dim() else 1 for one, other in zip(now, then, strict=False)]
    cut = [
        (one[:n], other[:n]) if one.dim() else (one, other)
        for one, other, n in zip(now, then, rows, strict=False)
    ]
    return [one for one, _ in cut], [other.to(one.device) for one, other in cut]


def most_alike(now: Latent, others: Sequence[Latent | None]) -> tuple[int, float]:
    """Which of some latents this one continues best, and their cosine; the first of several that are as good.

    On a GPU it waits for the device, once.
    """
    found = [None if other is None else cosine(now, other) for other in others]
    known = [value for value in found if value is not None]
    if not known:
        return 0, -1.0
    values = iter(torch.stack(known).tolist())
    cosines = [-1.0 if value is None else next(values) for value in found]
    best = max(cosines)
    return next(number for number, value in enumerate(cosines) if value >= best - 1e-6), best


def rows_of_one_image(sample: torch.Tensor) -> torch.Tensor:
    """Which rows of a denoiser's input are of one image, bool (B, B): those that are equal.

    Guidance puts each latent into a batch several times, with and without its prompt. Does not wait for the
    device.
    """
    rows = sample.detach().reshape(len(sample) if sample.dim() else 1, -1)
    return torch.stack([(rows == row).all(dim=1) for row in rows])


def is_step_from(now: torch.Tensor, then: torch.Tensor, returned: Sequence[torch.Tensor]) -> bool:
    """Whether a latent is a sampler's step from an earlier one: made of it and of what the denoiser returned.

    So it is for every sampler that adds no noise, at its first step: x' = a x + b e. Fresh noise is made of
    neither. Each image of a batch is looked at, with what was returned for it, with its prompt and without.
    """
    if now.dim() < 2:
        return False
    same = rows_of_one_image(then).tolist()
    outputs = [output[:, : now.shape[1]] for output in returned]  # a learned variance has channels of its own
    outputs = [output for output in outputs if output.shape == (len(then), *now.shape[1:])]
    return bool(outputs) and all(
        is_made_of(now[image], then[image], [out[row] for out in outputs for row in own_rows(same[image])])
        for image in range(min(len(now), len(then)))
    )


def own_rows(same: Sequence[bool]) -> list[int]:
    return [row for row, is_same in enumerate(same) if is_same][:8]


def is_made_of(now: torch.Tensor, then: torch.Tensor, outputs: Sequence[torch.Tensor]) -> bool:
    """Whether an image's latent is a sum of an earlier one and of outputs, each times a number."""
    row = now.flatten().double()
    basis = torch.stack([part.flatten().double().to(row.device) for part in (then, *outputs)])
    basis = basis / basis.norm(dim=1, keepdim=True).clamp_min(1e-30)
    weights = torch.linalg.pinv(basis @ basis.T, hermitian=True) @ (basis @ row)
    left = (row - weights @ basis).norm() / row.norm().clamp_min(1e-30)
    moved = (row - (basis[0] @ row) * basis[0]).norm() > 1e-5 * row.norm()
    return bool(moved & (left < MADE_OF))


class StillPart:
    """The part of a denoiser's input that stands still: a mask, an image to be edited, a first frame.

    Pipelines put it beside the latent, as further channels, tokens or frames. It is conditioning, and it
    shows by not changing at all from one step to the next.

    Args:
        dim: along which it lies beside what moves.
        places: the places along it.
        tensor: an input of the denoiser.
    """

    def __init__(self, dim: int, places: torch.Tensor, tensor: torch.Tensor) -> None:
        self.dim = dim
        self.places = places
        self.values = self._part_of(tensor).clone()

    def _part_of(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach().index_select(self.dim, self.places)

    def is_in(self, tensor: torch.Tensor) -> bool:
        """Whether this part of another input is the same. On a GPU it waits for the device."""
        return torch.equal(self._part_of(tensor), self.values)


def find_still_part(now: torch.Tensor, then: torch.Tensor) -> tuple[bool, StillPart | None]:
    """Compare the inputs of two steps; on a GPU it waits for the device.

    Returns:
        Whether anything can be said: not where nearly nothing has moved. Then the part that stands still;
        None if there is none.
    """
    if now.shape != then.shape or now.device != then.device:
        return True, None
    equal = now == then
    dims = [dim for dim in range(1, now.dim()) if now.numel() >= LEAST_SLICE * now.shape[dim] > LEAST_SLICE]
    still = [equal.movedim(dim, 0).flatten(1).all(1) for dim in dims]
    counts = [mask.sum() * (now.numel() // now.shape[dim]) for dim, mask in zip(dims, still, strict=False)]
    equals, *sizes = torch.stack([equal.sum(), *counts]).tolist()
    most = max(sizes, default=0)
    moving = now.numel() - most
    if equals - most > CHANCE * moving or moving == 0:
        return False, None
    if most == 0:
        return True, None
    which = sizes.index(most)
    return True, StillPart(dims[which], still[which].nonzero().flatten(), now)
