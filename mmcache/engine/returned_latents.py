"""What a sampler has returned for the next step: by it a latent is told that somebody's own code has changed.

A latent that a loop rolls, mirrors or blends with noise at each step goes on from the one before as little as
that of a sampler that adds noise. So it is compared with what the sampler itself has returned.
"""

from collections.abc import Iterator
from typing import Any

import torch

from mmcache.clocks.latents import Latent, tensors_in

MOST_LATENTS = 8  # that a step may return, one for each image of a loop; of more, nothing is told
SAMPLED = 1024  # numbers of each image that are kept, about; the whole latent would be a tensor more
AS_RETURNED = 0.98  # the cosine, at least: callbacks correct latents a little


class ReturnedLatents:
    """A sample of each latent that the scheduler has returned in a step."""

    def __init__(self) -> None:
        self._samples: list[torch.Tensor] = []
        self._shapes: list[torch.Size] = []

    @torch.no_grad()
    def add(self, result: Any) -> int:
        """Keep what `step` has returned: a latent alone, in a tuple or in an output of diffusers.

        Returns:
            The bytes that it takes.
        """
        latent = next(iter(tensors_in(getattr(result, "prev_sample", result))), None)
        if latent is None or latent.dim() < 2:
            return 0
        sample = sample_of(latent).clone()
        self._samples.append(sample)
        self._shapes.append(latent.shape)
        return sample.nbytes

    @torch.no_grad()
    def has(self, latent: Latent) -> bool | None:
        """Whether a denoiser's input is one of them, up to its scale and to small changes.

        Guidance repeats rows, and pipelines put further channels behind those of a latent. On a GPU it waits
        for the device.

        Returns:
            None where they cannot be compared: a window, say, or a latent that was packed.
        """
        if len(latent) != 1 or not 0 < len(self._samples) <= MOST_LATENTS:
            return None
        given = latent[0].detach()
        cosines = [
            likeness(given[:, : shape[1]], sample)
            for sample, shape in zip(self._samples, self._shapes, strict=True)
            if is_of(given.shape, shape)
        ]
        return bool(torch.stack(cosines).max() >= AS_RETURNED) if cosines else None

    def tensors(self) -> Iterator[torch.Tensor]:
        yield from self._samples


def is_of(given: torch.Size, latent: torch.Size) -> bool:
    """Whether an input of this shape may be a latent of that one, with rows repeated or more channels."""
    same_dims = len(given) == len(latent) and given[2:] == latent[2:]
    return same_dims and given[1] >= latent[1] and given[0] % latent[0] == 0


def sample_of(latent: torch.Tensor) -> torch.Tensor:
    """Numbers of each image that lie evenly over it, (B, about `SAMPLED`), float32."""
    rows = latent.detach().flatten(1)
    return rows[:, :: max(1, rows.shape[1] // SAMPLED)].float()


def likeness(given: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
    """The cosine of an input's rows and those of a latent's sample, of the row that is least alike, 0-d."""
    rows, images = sample_of(given), sample.to(given.device)
    times = len(rows) // len(images)
    if times == 1 or len(images) == 1:
        return cosines(rows, images).min()
    orders = [images.repeat(times, 1), images.repeat_interleave(times, 0)]
    return torch.stack([cosines(rows, order).min() for order in orders]).max()


def cosines(rows: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Of each row and its image, (B,); 0 where one of them is nothing."""
    lengths = rows.norm(dim=1) * images.norm(dim=1)
    found: torch.Tensor = torch.linalg.vecdot(rows, images) / lengths.clamp_min(1e-30)
    return found
