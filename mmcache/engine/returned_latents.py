"""What a sampler has returned for the next step: by it a latent is told that somebody's own code has changed.

A latent that a loop rolls, mirrors or blends with noise at each step goes on from the one before as little as
that of a sampler that adds noise. So it is compared with what the sampler itself has returned.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from mmcache.clocks.latents import Latent, returned_latent

MOST_LATENTS = 8  # that a step may return, one for each image of a loop; of more, nothing is told
SAMPLED = 1024  # numbers of each image that are kept, about; the whole latent would be a tensor more
# The cosine, at least: callbacks correct latents a little. Noise of 0.15 of a latent makes it 0.989.
AS_RETURNED = 0.985


class SamplerStep(NamedTuple):
    """One call of the scheduler's `step`, by samples of its latents.

    Attributes:
        before: of the latent that it went on from; None where that is not known.
        after: of the latent that it has returned.
        shape: of that latent.
    """

    before: torch.Tensor | None
    after: torch.Tensor
    shape: torch.Size


class ReturnedLatents:
    """What the scheduler has made of which latent in a step."""

    def __init__(self) -> None:
        self._steps: list[SamplerStep] = []
        self._too_many = False

    @torch.no_grad()
    def add(self, sample: Any, result: Any) -> int:
        """Keep what `step` was given, and has returned: a latent alone, in a tuple or an output of diffusers.

        Returns:
            The bytes that it takes.
        """
        held = self._nbytes
        latent = returned_latent(result)
        if latent is not None and latent.dim() > 1 and not self._too_many:
            known = isinstance(sample, torch.Tensor) and sample.shape == latent.shape
            before = sample_of(sample).clone() if known else None
            self._steps.append(SamplerStep(before, sample_of(latent).clone(), latent.shape))
        if len(self._steps) > MOST_LATENTS:
            self._steps, self._too_many = [], True
        return self._nbytes - held

    @torch.no_grad()
    def tell(self, now: Latent, then: Latent | None) -> bool | None:
        """Whether a denoiser's input goes on from that of an earlier call by one of these steps.

        Up to the scale and to small changes. Guidance repeats rows, pipelines put further channels behind
        those of a latent or before them, and loops step each row of a batch by itself. On a GPU it waits for
        the device.

        Returns:
            False where the input is nothing that a step has returned. None where they cannot be compared (a
            window, say, or a latent that was packed), and where the step did not go on from the earlier one.
        """
        if len(now) != 1 or then is None or now[0].shape != then[0].shape:
            return None
        inputs = now[0].detach(), then[0].detach().to(now[0].device)
        after, both, alone = [], [], []
        for step in self._steps:
            if not is_of(inputs[0].shape, step.shape):
                continue
            for rows, rows_before in zip(*(parts_of(one, step.shape[1]) for one in inputs), strict=True):
                is_after = row_cosines_in_all_orders(sample_of(rows), step.after)
                is_before = is_after
                if step.before is not None:
                    is_before = row_cosines_in_all_orders(sample_of(rows_before), step.before)
                pair = is_after, torch.minimum(is_after, is_before)
                after.append(pair[0].amin(1).amax())
                both.append(pair[1].amin(1).amax())
                if step.shape[0] == 1:
                    alone.append(torch.stack(pair))
        if not after:
            return None
        if len(alone) > 1:  # of each row the step that it is most like
            rows_alone = torch.stack(alone).amax(0).amin(-1).flatten()
            after.append(rows_alone[0])
            both.append(rows_alone[1])
        returned, goes_on = torch.stack([torch.stack(after).amax(), torch.stack(both).amax()]).tolist()
        if returned < AS_RETURNED:
            return False
        return True if goes_on >= AS_RETURNED else None

    @property
    def _nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors())

    def tensors(self) -> Iterator[torch.Tensor]:
        for step in self._steps:
            yield step.after
            if step.before is not None:
                yield step.before


def is_of(given: torch.Size, latent: torch.Size) -> bool:
    """Whether an input of this shape may be a latent of that one, with rows repeated or more channels."""
    same_dims = len(given) == len(latent) and given[2:] == latent[2:]
    return same_dims and given[1] >= latent[1] and given[0] % latent[0] == 0


def parts_of(given: torch.Tensor, channels: int) -> list[torch.Tensor]:
    """Where a latent of so many channels may lie in an input: its first and its last ones."""
    parts = [given[:, :channels]]
    return parts if given.shape[1] == channels else [*parts, given[:, -channels:]]


def sample_of(latent: torch.Tensor) -> torch.Tensor:
    """Numbers of each image that lie evenly over it, (B, about `SAMPLED`), float32.

    Their distance has no divisor in common with the width or any other size, so no column is left out.
    """
    rows = latent.detach().flatten(1)
    size = rows.shape[1]
    stride = max(1, size // SAMPLED)
    while math.gcd(stride, size) > 1:
        stride += 1
    return rows[:, ::stride].float()


def row_cosines_in_all_orders(rows: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """The cosines of rows and their images, for each order in which guidance repeats images: (orders, B)."""
    images = images.to(rows.device)
    times = len(rows) // len(images)
    if times == 1 or len(images) == 1:
        return cosines(rows, images)[None]
    orders = images.repeat(times, 1), images.repeat_interleave(times, 0)
    return torch.stack([cosines(rows, order) for order in orders])


def cosines(rows: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Of each row and its image, (B,); 0 where one of them is nothing."""
    lengths = rows.norm(dim=1) * images.norm(dim=1)
    found: torch.Tensor = torch.linalg.vecdot(rows, images) / lengths.clamp_min(1e-30)
    return found
