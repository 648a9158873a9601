"""Whether a sampling loop goes on with the latent that its sampler has returned, told without its values."""

import weakref
from typing import Any

from mmcache.clocks.latents import returned_latent, version_of
from mmcache.compat.calling_pipeline import is_variable_of_callers


class HandedLatent:
    """What a sampler's `step` has returned, as long as nobody has written to it.

    Args:
        result: the latent of the next step, alone, in a tuple or in an output of diffusers.
    """

    def __init__(self, result: Any) -> None:
        latent = returned_latent(result)
        self._latent = (lambda: None) if latent is None else weakref.ref(latent)
        self._version = None if latent is None else version_of(latent)

    def is_with_callers(self) -> bool:
        """Whether it is a variable of those who call the denoiser now.

        A callback that returns another latent, or a loop that picks rows of it, leaves no such variable. But
        a loop may turn it over only for the call. So on a CPU, where a look at values waits for nothing, they
        tell instead.
        """
        latent = self._latent()
        if latent is None or latent.is_cpu or version_of(latent) != self._version:
            return False
        return is_variable_of_callers(latent)
