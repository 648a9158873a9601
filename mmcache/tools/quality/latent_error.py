"""How far the latent of a cached run is from that of the full one, step by step."""

from typing import Any, NamedTuple

import numpy as np
import torch

ARGUMENT = "callback_on_step_end"


class LatentError(NamedTuple):
    """Of each image.

    Attributes:
        relative: norm of the difference over the norm of the full run's latent.
        cosine: of the angle between the two; 1 if they point the same way.
    """

    relative: np.ndarray
    cosine: np.ndarray


class LatentRecorder:
    """Keeps the latents at the end of each step; given to a pipeline as `callback_on_step_end`.

    Attributes:
        steps: one array (N, ...) per step, float32, on the CPU.
    """

    def __init__(self) -> None:
        self.steps: list[np.ndarray] = []

    def __call__(self, pipe: Any, step: int, timestep: Any, given: dict[str, Any]) -> dict[str, Any]:
        latents = given["latents"]
        # A copy: on a CPU the array would share the memory that the pipeline goes on with.
        self.steps.append(latents.detach().to("cpu", torch.float32, copy=True).numpy())
        return given

    @property
    def settings(self) -> dict[str, Any]:
        """What the pipeline is called with."""
        return {ARGUMENT: self, f"{ARGUMENT}_tensor_inputs": ["latents"]}


def latent_error(latents: np.ndarray, reference: np.ndarray) -> LatentError:
    """Compare the latents of one step, both (N, ...)."""
    ours, theirs = (stack.reshape(len(stack), -1).astype(np.float64) for stack in (latents, reference))
    size = np.linalg.norm(theirs, axis=1).clip(1e-12)
    relative = np.linalg.norm(ours - theirs, axis=1) / size
    cosine = (ours * theirs).sum(axis=1) / (np.linalg.norm(ours, axis=1).clip(1e-12) * size)
    return LatentError(relative, cosine)
