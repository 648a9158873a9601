"""What a sampler is given at every step of full runs, and how much of it arrives in the result.

Recorded is the denoiser's output as the sampler gets it, guidance included. A forecast is a weighted sum of
outputs, with the same weights in every lane, so its error is a weighted sum of recorded outputs as well.
"""

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from mmcache.patching.scheduler_patch import step_name

STEP_ARGUMENTS = ("model_output", "timestep", "sample")  # in the order of a sampler's step
IMPULSE = 1e-3  # small, so that samplers that clip do not


class SamplerRecording:
    """The steps of some runs, all by the same sampler with the same number of steps.

    Attributes:
        times: the sampler's time at each step.
        outputs: for each image, what the sampler was given at each step, (steps, values).
        samples: for each image, the latents that it was given with them, (steps, values).
    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self.outputs: list[torch.Tensor] = []
        self.samples: list[torch.Tensor] = []
        self._given: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._timesteps: list[Any] = []
        self._sampler: Any = None
        self._step: Callable[..., Any] | None = None
        self._options: dict[str, Any] = {}

    def seen(
        self, sampler: Any, step: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        """A step is about to be made: `step(sampler, output, timestep, sample, ...)`."""
        call = dict(zip(STEP_ARGUMENTS, args, strict=False)) | options
        if self._sampler is None:
            self._sampler, self._step = unwatched_copy(sampler), step
            self._options = {k: v for k, v in options.items() if k not in (*STEP_ARGUMENTS, "generator")}
        if not self.outputs:
            self.times.append(float(torch.as_tensor(call["timestep"]).max()))
            self._timesteps.append(call["timestep"])
        output, sample = (call[name].detach().to("cpu", torch.float32) for name in ("model_output", "sample"))
        self._given.append((output.clone(), sample.clone()))

    def end_run(self) -> None:
        """A run is over: another begins, or there is no other."""
        if self._given:
            outputs, samples = (torch.stack(found).flatten(2) for found in zip(*self._given, strict=True))
            self.outputs += outputs.unbind(1)
            self.samples += samples.unbind(1)
        self._given = []

    def responses(self) -> np.ndarray:
        """How much an error of one step's output changes the latent before each step, and the result.

        The sampler is run again, on a single number for each step, whose output is off at that step alone.

        Returns:
            (steps + 1, steps): of the latent before each step, the last row of the result.
        """
        impulses = IMPULSE * torch.eye(len(self.times), dtype=torch.float64)
        return ((self._replayed(impulses) - self._replayed(0 * impulses)) / IMPULSE).numpy()

    def _replayed(self, outputs: torch.Tensor) -> torch.Tensor:
        """The latents of sampling with these outputs, (steps, N); noise is the same each time."""
        sampler, step = copy.deepcopy(self._sampler), self._step
        assert step is not None
        options = self._options | {"return_dict": False}
        latents = [torch.zeros(outputs.shape[1], 1, 1, 1, dtype=torch.float64)]
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            for timestep, output in zip(self._timesteps, outputs, strict=True):
                latents.append(
                    step(sampler, output.reshape(-1, 1, 1, 1), timestep, latents[-1], **options)[0]
                )
        return torch.stack(latents).flatten(1).double()


def unwatched_copy(sampler: Any) -> Any:
    """A copy of a sampler as it is, of its plain class."""
    plain = copy.copy(sampler)
    plain.__class__ = next(cls for cls in type(sampler).__mro__ if "recording" not in vars(cls))
    plain.__dict__ = {name: copy.deepcopy(value) for name, value in vars(sampler).items()}
    return plain


@contextmanager
def recorded(sampler: Any) -> Iterator[SamplerRecording]:
    """Within it, a sampler's steps are recorded; afterwards it is as before."""
    plain: Any = type(sampler)
    name = step_name(plain) or "step"
    plain_step = getattr(plain, name)
    recording = SamplerRecording()

    @functools.wraps(plain.set_timesteps)
    def set_timesteps(self: Any, *args: Any, **kwargs: Any) -> Any:
        recording.end_run()
        return plain.set_timesteps(self, *args, **kwargs)

    @functools.wraps(plain_step)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        recording.seen(self, plain_step, args, kwargs)
        return plain_step(self, *args, **kwargs)

    own = {"set_timesteps": set_timesteps, name: step, "recording": recording}
    sampler.__class__ = type(plain.__name__, (plain,), own)
    try:
        yield recording
        recording.end_run()
    finally:
        sampler.__class__ = plain
