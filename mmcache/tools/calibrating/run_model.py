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
# Gains differ much from image to image, and a forecast has to hold where images are hard. By the mean gain
# alone full repaying looked best under strong guidance, and lost 6 to 9 dB there.
HARD = 2.0  # standard deviations above the mean gain

TINY = 1e-20  # where nothing is off, there is nothing to divide by


@dataclass(frozen=True, eq=False)
class RunModel:
    """A recording, as far as predictions need it.

    Attributes:
        times: the sampler's time at each step.
        grams: for each image, mean inner products of the outputs of all pairs of steps, (N, steps, steps).
        responses: by how much an output's error changes the latent before each step, (steps + 1, steps).
        gain: at each step, the error of a full output per error of the latent it is computed from.
        gain_spread: by how much it differs from image to image, as a standard deviation.
        spread: at each step, the size of the rest of that error, likewise.
    """

    times: Sequence[float]
    grams: np.ndarray
    responses: np.ndarray
    gain: np.ndarray
    gain_spread: np.ndarray
    spread: np.ndarray

    @property
    def steps(self) -> int:
        return len(self.times)

    def only(self, images: Sequence[int]) -> "RunModel":
        """The model from some of the images."""
        return RunModel(
            self.times, self.grams[list(images)], self.responses, self.gain, self.gain_spread, self.spread
        )

    def error(self, full: Sequence[int], forecast: Forecast) -> np.ndarray:
        """The predicted mean square error of the result of each image, (N,).

        Args:
            full: the full steps; all others run nothing.
            forecast: of their outputs.
        """
        weights = forecast_weights(self.times, full, forecast)
        own = np.eye(self.steps)
        errors = np.zeros((self.steps, self.steps))  # row: the error at a step, as a sum of recorded outputs
        forks = np.zeros(len(self.grams))
        reach = self.responses[-1] @ weights
        for step in range(self.steps):
            if step in full:
                off = self.responses[step] @ errors
                errors[step] = self.gain[step] * off
                forks += (reach[step] * self.spread[step]) ** 2 * self._squares(off)
            else:
                errors[step] = weights[step] @ (own + errors) - own[step]
        return self._squares(self.responses[-1] @ errors) + FORK * forks

    @property
    def of_hard_images(self) -> "RunModel":
        """The same for images that answer errors more than others."""
        return replace(self, gain=self.gain + HARD * self.gain_spread)

    def decibels(self, full: Sequence[int], forecast: Forecast) -> float:
        """How far below 1 the error is: the mean over the images, in dB."""
        return float(np.mean(-10 * np.log10(self.error(full, forecast).clip(min=1e-20))))

    def _squares(self, row: np.ndarray) -> np.ndarray:
        """Mean squares of a weighted sum of recorded outputs, for each image."""
        return np.maximum(np.einsum("s,nst,t->n", row, self.grams, row), 0.0)


def forecast_weights(times: Sequence[float], full: Sequence[int], forecast: Forecast) -> np.ndarray:
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
    return rows.numpy()


def run_model(full: SamplerRecording, cached: SamplerRecording, full_steps: Sequence[int]) -> RunModel:
    """The model from a full run and a cached one of the same images.

    Args:
        full: the recording of the full run.
        cached: of the other one.
        full_steps: of the cached run, behind its first cached step.
    """
    outputs, samples = stacked(full.outputs), stacked(full.samples)
    off, answers = stacked(cached.samples) - samples, stacked(cached.outputs) - outputs
    gains, differences, spreads = [], [], []
    for step in full_steps:
        size = off[:, step].square().sum(1).clamp_min(TINY)
        gain = (off[:, step] * answers[:, step]).sum(1) / size
        rest = (answers[:, step] - gain[:, None] * off[:, step]).square().sum(1) / size
        gains.append(gain.mean().item())
        differences.append(gain.std().item())
        spreads.append(rest.mean().sqrt().item())
    every = np.arange(len(full.times))
    return RunModel(
        full.times,
        (outputs @ outputs.transpose(1, 2) / outputs.shape[2]).numpy(),
        full.responses(),
        np.interp(every, full_steps, gains),
        np.interp(every, full_steps, differences),
        np.interp(every, full_steps, spreads),
    )


def stacked(images: Sequence[torch.Tensor]) -> torch.Tensor:
    """(N, steps, values)"""
    return torch.stack(list(images)).double()
