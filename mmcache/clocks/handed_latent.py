"""Whether a sampling loop goes on with the latent that its sampler has returned."""

from typing import Any

import torch

from mmcache.clocks.latents import Latent, is_alike, tensors_in, version_of
from mmcache.compat.calling_pipeline import is_variable_of_callers

MOST = 8  # latents of one step that are kept: of more images in one loop, the first ones are not known


class HandedLatent:
    """What a sampler's `step` has returned.

    Args:
        latent: that of the next step.
    """

    def __init__(self, latent: torch.Tensor) -> None:
        self._latent = latent.detach()
        self._object = latent
        self._version, self._place = version_of(latent), latent.data_ptr()
        # A look at values waits for nothing there, and torch does not count all that is written.
        self._values = latent.detach().clone() if latent.is_cpu else None

    @property
    def on_cpu(self) -> bool:
        return self._values is not None

    def is_with_callers(self) -> bool:
        """Whether it is a variable of those who call the denoiser now, and nobody has written to it.

        A callback that returns another latent, or a loop that picks rows of it, leaves no such variable.
        """
        latent = self._object
        if version_of(latent) != self._version or latent.data_ptr() != self._place:
            return False
        if self._values is not None and not torch.equal(latent, self._values):
            return False
        return is_variable_of_callers(latent)

    def is_alike(self, latent: Latent) -> bool | None:
        """Whether a denoiser's input is nearly this; None if they cannot be compared. A GPU is waited for."""
        values = self._latent if self._values is None else self._values
        return is_alike(latent, values)


class HandedLatents:
    """What a sampler has returned in the step that is going on, and in the one before: one for each image."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._step = -1
        self._before: list[HandedLatent] = []
        self._now: list[HandedLatent] = []

    def add(self, step: int, result: Any) -> None:
        """Keep what `step` has returned: a latent alone, in a tuple or in an output of diffusers."""
        found = tensors_in(getattr(result, "prev_sample", result))
        if step != self._step:
            self._step, self._before, self._now = step, self._now, []
        self._now = [*self._now, *map(HandedLatent, found[:1])][-MOST:]

    def is_handed_on(self, latent: Latent) -> bool | None:
        """Whether the loop goes on with what it was given, as a clock says it.

        On a CPU, where a look at values waits for nothing, they tell. On a GPU it is told by the variables of
        the callers first: a latent that a loop turns over just before its call is not noticed there.
        """
        known = [*self._before, *self._now]
        if not known:
            return None
        last = known[-1]
        if not last.on_cpu and last.is_with_callers():
            return True
        alike = [one.is_alike(latent) for one in known]
        if not any(found is not None for found in alike):  # a window of it, say
            return last.is_with_callers() or None
        if not any(alike):
            return False
        one_image = len(self._now) == 1 and len(self._before) <= 1
        return True if one_image and last.on_cpu and alike[-1] else None
