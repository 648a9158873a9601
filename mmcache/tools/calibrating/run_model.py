"""How far a run whose outputs are partly forecast will be from the full one, predicted from a recording.

A forecast is a weighted sum of earlier outputs, so its error is a weighted sum of recorded ones: a row of
weights says all, and the inner products of a recording (steps by steps) tell its size. The sampler carries
the errors of all steps on to the latents of later steps, in a way that is linear and known (`responses`). At
a full step the model sees a latent that is off, and answers it: by a factor of it (`gain`), and beside that
by something in another direction (`spread`), which is what makes images fork.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mmcache.clocks.clock import StepClock
from mmcache.engine.lanes import Lane, Origin
from mmcache.plans.forecast import Forecast
from mmcache.tools.calibrating.sampler_recording import SamplerRecording

FORK = 4.0  # how much more than its mean square what goes in another direction counts: it has heavy tails
# By its own answers an image may look easy that is not, and a forecast has to hold where images are hard. So
# plans are chosen by images that answer more strongly, by so many standard deviations of what was recorded.
HARD = 1.0

TINY = 1e-20  # where nothing is off, there is nothing to divide by


@dataclass(frozen=True, eq=False)
class RunModel:
    """A recording, as far as predictions need it; N images.

    Each image answers errors in its own way: under strong guidance some fork, and one mean for all of them
    foretold the wrong order of plans (guidance 7 on the text-to-image miniature).

    Attributes:
        times: the sampler's time at each step.
        grams: for each image, mean inner products of the outputs of all pairs of steps, (N, steps, steps).
        responses: by how much an output's error changes the latent before each step, (steps + 1, steps).
        gain: the error of a full output per error of the latent it is computed from, (N, steps).
        spread: at each step, the size of the rest of that error, likewise.
    """

    times: Sequence[float]
    grams: torch.Tensor
    responses: torch.Tensor
    gain: torch.Tensor
    spread: torch.Tensor

    @property
    def steps(self) -> int:
        return len(self.times)

    @property
    def images(self) -> int:
        return len(self.grams)

    def only(self, images: Sequence[int]) -> "RunModel":
        """The model from some of the images."""
        chosen = list(images)
        return RunModel(
            self.times, self.grams[chosen], self.responses, self.gain[chosen], self.spread[chosen]
        )

    def error(self, full: Sequence[int], weights: torch.Tensor) -> torch.Tensor:
        """The predicted mean square error of the result of each image, (N,); it can be differentiated.

        Args:
            full: the full steps; all others run nothing.
            weights: how much each step's output counts at each step, (steps, steps).
        """
        own, rows = torch.eye(self.steps, dtype=torch.float64), torch.arange(self.steps)
        is_full = torch.isin(rows, torch.tensor(list(full)))[:, None]
        # Errors are sums of recorded outputs: a row for each step, and E = carried E + made, for each image.
        carried = torch.where(is_full, self.gain[..., None] * self.responses[:-1], weights)
        made = torch.where(is_full, 0.0, weights - own).expand_as(carried)
        errors = torch.linalg.solve_triangular(own - carried, made, upper=False, unitriangular=True)
        off = self.responses @ errors  # of the latents before each step, and of the result
        squares = torch.einsum("nls,nst,nlt->nl", off, self.grams, off).clamp_min(0.0)
        reach = is_full[:, 0] * (self.responses[-1] @ weights)
        forks = ((reach * self.spread) ** 2 * squares[:, :-1]).sum(1)
        return squares[:, -1] + FORK * forks

    def decibels(self, full: Sequence[int], forecast: Forecast) -> float:
        """How far below 1 the error is: the mean over the images, in dB."""
        return decibels(self.error(full, forecast_weights(self.times, full, forecast)))

    @property
    def of_hard_images(self) -> "RunModel":
        """The same for images that answer errors more than these do."""
        if self.images < 2:
            return self
        return replace(self, gain=self.gain + HARD * self.gain.std(0))


def decibels(errors: torch.Tensor) -> float:
    """How far below 1 mean square errors are: their mean, in dB."""
    return -10 * errors.clamp_min(TINY).log10().mean().item()


def forecast_weights(times: Sequence[float], full: Sequence[int], forecast: Forecast) -> torch.Tensor:
    """How much each step's output counts in what is used at each step, (steps, steps).

    A lane is run on outputs that are unit vectors, so these are the weights of a run.
    """
    steps, chosen, lane = len(times), set(full), Lane(Origin(None))
    rows = torch.eye(steps, dtype=torch.float64)
    for step, time in enumerate(times):
        if step in chosen:
            lane.keep(0, time, (rows[step].clone(),), forecast)
        else:
            (rows[step],) = lane.forecast(0, StepClock(0, step, steps, time), forecast)
    return rows


def run_model(full: SamplerRecording, cached: SamplerRecording, full_steps: Sequence[int]) -> RunModel:
    """The model from a full run and a cached one of the same images.

    Args:
        full: the recording of the full run.
        cached: of the other one.
        full_steps: of the cached run, behind its first cached step.
    """
    outputs, samples = stacked(full.outputs), stacked(full.samples)
    off, answers = stacked(cached.samples) - samples, stacked(cached.outputs) - outputs
    size = off.square().sum(2).clamp_min(TINY)
    gain = (off * answers).sum(2) / size
    spread = ((answers - gain[..., None] * off).square().sum(2) / size).sqrt()
    return RunModel(
        full.times,
        outputs @ outputs.transpose(1, 2) / outputs.shape[2],
        torch.from_numpy(full.responses()),
        between(gain, full_steps),
        between(spread, full_steps),
    )


def between(values: torch.Tensor, known: Sequence[int]) -> torch.Tensor:
    """Values at some steps, and in a straight line between them at the others, (N, steps)."""
    every = np.arange(values.shape[1])
    return torch.from_numpy(np.stack([np.interp(every, known, row[known]) for row in values.numpy()]))


def stacked(images: Sequence[torch.Tensor]) -> torch.Tensor:
    """(N, steps, values)"""
    return torch.stack(list(images)).double()
