"""How far a run whose outputs are partly forecast will be from the full one, predicted from a recording.

A forecast is a weighted sum of earlier outputs, so its error is a weighted sum of recorded ones: a row of
weights says all, and the inner products of a recording (steps by steps) tell its size. The sampler carries
the errors of all steps on to the latents of later steps, in a way that is linear and known (`responses`). At
a full step the model sees a latent that is off, and answers it: by a factor of it (`gain`), and beside that
by something in another direction (`spread`), which is what makes images fork.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mmcache.clocks.clock import StepClock
from mmcache.engine.lanes import Lane, Origin
from mmcache.plans.forecast import Forecast
from mmcache.tools.calibrating.sampler_recording import SamplerRecording

# How much of what goes in another direction goes on as a further error, as a share of its size. All of it
# overestimates what few full steps lose. By this share the predictions of 20 plans of the text-to-image
# miniature, at guidance 3 and 7, were mostly in the order of their PSNR.
FORK = 0.5
TINY = 1e-20  # where nothing is off, there is nothing to divide by
BEYOND = 1e9  # an error that was carried on until no number holds it


@dataclass(frozen=True, eq=False)
class RunModel:
    """A recording, as far as predictions need it; of N images, each with P answers to errors.

    Each image answers errors in its own way, and large errors otherwise than small ones: under strong
    guidance some images fork. By one mean for all, or by small errors alone, predictions put plans in the
    wrong order (text-to-image miniature, guidance 7). So a plan has to hold for all of these answers.

    Attributes:
        times: the sampler's time at each step.
        grams: for each image, mean inner products of the outputs of all pairs of steps, (N, steps, steps).
        responses: by how much an output's error changes the latent before each step, (steps + 1, steps).
        gain: the error of a full output per error of the latent it is computed from, (P, N, steps).
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
            self.times, self.grams[chosen], self.responses, self.gain[:, chosen], self.spread[:, chosen]
        )

    def error(self, full: Sequence[int], weights: torch.Tensor) -> torch.Tensor:
        """The predicted mean square errors of each image's result, (P, N); they can be differentiated.

        Args:
            full: the full steps; all others run nothing.
            weights: how much each step's output counts at each step, (steps, steps).
        """
        own, rows = torch.eye(self.steps, dtype=torch.float64), torch.arange(self.steps)
        is_full = torch.isin(rows, torch.tensor(list(full)))
        # Errors are sums of recorded outputs, a row for each step: E = carried E + made.
        carried = torch.where(is_full[:, None], self.gain[..., None] * self.responses[:-1], weights)
        made = torch.where(is_full[:, None], 0.0, weights - own)
        # What an error of each output alone changes: the outputs of all steps, and so the latents.
        reach = self.responses @ solved(own - carried, own.expand_as(carried))
        latents = reach @ made
        off = torch.einsum("pnls,nst,pnlt->pnl", latents, self.grams, latents).clamp_min(0.0)
        # Other directions: each full step adds to the squares of later latents, its own included.
        adds = is_full * (reach * FORK * self.spread[..., None, :]) ** 2
        squares = solved(own - adds[..., :-1, :], off[..., :-1, None])
        result = off[..., -1] + (adds[..., -1:, :] @ squares)[..., 0, 0]
        result = torch.nan_to_num(result, nan=BEYOND, posinf=BEYOND).clamp_max(BEYOND)
        return result / (1 + result)  # another image has an error of about 1, and none has a larger one

    def decibels(self, full: Sequence[int], forecast: Forecast) -> float:
        """How far below 1 the error is: the mean over images and answers, in dB."""
        return decibels(self.error(full, forecast_weights(self.times, full, forecast)))


def solved(matrices: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """For matrices with ones on the diagonal and nothing above."""
    return torch.linalg.solve_triangular(matrices, right, upper=False, unitriangular=True)


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


def run_model(full: SamplerRecording, cached: Sequence[tuple[SamplerRecording, Sequence[int]]]) -> RunModel:
    """The model from a full run and cached ones of the same images.

    Args:
        full: the recording of the full run.
        cached: of the others, each with its full steps behind its first cached step.
    """
    outputs, samples = stacked(full.outputs), stacked(full.samples)
    gains, spreads = [], []
    for recording, full_steps in cached:
        off, answers = stacked(recording.samples) - samples, stacked(recording.outputs) - outputs
        size = off.square().sum(2).clamp_min(TINY)
        gain = (off * answers).sum(2) / size
        spread = ((answers - gain[..., None] * off).square().sum(2) / size).sqrt()
        gains.append(between(gain, full_steps))
        spreads.append(between(spread, full_steps))
    return RunModel(
        full.times,
        outputs @ outputs.transpose(1, 2) / outputs.shape[2],
        torch.from_numpy(full.responses()),
        torch.stack(gains),
        torch.stack(spreads),
    )


def between(values: torch.Tensor, known: Sequence[int]) -> torch.Tensor:
    """Values at some steps, and in a straight line between them at the others, (N, steps)."""
    every = np.arange(values.shape[1])
    return torch.from_numpy(np.stack([np.interp(every, known, row[known]) for row in values.numpy()]))


def stacked(images: Sequence[torch.Tensor]) -> torch.Tensor:
    """(N, steps, values)"""
    return torch.stack(list(images)).double()
