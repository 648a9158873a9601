"""How alike a denoiser's deep features are from step to step: the observation that all caching rests on.

DeepCache shows it for Stable Diffusion (arXiv 2312.00858, section 3.1 and figure 2): features of neighbouring
steps are nearly the same, and some of steps far apart too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mmcache.api.accelerate import accelerate
from mmcache.api.resolved_pipeline import find_denoisers
from mmcache.tools.running.call_settings import check_counts, check_prompt, settings_of
from mmcache.tools.running.feature_recorder import FeatureRecorder, recording_plan
from mmcache.tools.running.runner import own_progress_bar

MOST_BRANCHES = 4  # where none are named
ALIKE = 0.95  # the paper counts pairs of steps above this


@dataclass(frozen=True, eq=False)
class Similarity:
    """The deep features of one denoiser, compared between all pairs of steps.

    Attributes:
        name: of the denoiser in its pipeline.
        times: the sampler's time at each step.
        cosines: by branch, of the features that it keeps; (steps, steps).
    """

    name: str
    times: Sequence[float]
    cosines: Mapping[int, np.ndarray]

    def neighbours(self, branch: int) -> float:
        """The mean cosine between a step and the next one."""
        return float(np.diagonal(self.cosines[branch], offset=1).mean())

    def alike(self, branch: int) -> float:
        """The share of all other steps that are alike (a cosine of more than 0.95), mean over the steps."""
        found = self.cosines[branch] > ALIKE
        return float((found.sum(axis=1) - 1).mean() / (len(found) - 1))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "times": list(self.times),
            "branches": [
                {
                    "branch": branch,
                    "next_step": self.neighbours(branch),
                    "alike": self.alike(branch),
                    "cosines": cosines.round(5).tolist(),
                }
                for branch, cosines in self.cosines.items()
            ],
        }


def feature_similarity(
    pipe: Any,
    prompt: str | list[str] | None = None,
    *,
    branches: Sequence[int] | None = None,
    steps: int = 50,
    seed: int = 0,
    guidance_scale: float | None = None,
    progress: bool = False,
    **call: Any,
) -> list[Similarity]:
    """Sample once without a cache and compare the deep features of all pairs of steps.

    Args:
        pipe: a diffusers pipeline; afterwards it is what it was.
        prompt: one or several; None for a pipeline that takes none.
        branches: whose features; by default up to four, from the shallowest to the deepest. The features of
            all steps are held in the CPU's memory while it samples.
        steps: sampling steps (`num_inference_steps`), at least 2.
        seed: of the noise.
        guidance_scale: None for the pipeline's own default.
        progress: show a bar, if stderr is a terminal.
        **call: more arguments of the pipeline.

    Returns:
        One for each denoiser.

    Raises:
        UnsupportedPipelineError: no denoiser that mmcache knows.
        ValueError: a branch that a denoiser does not have, fewer than 2 steps, an argument that the pipeline
            does not have, a pipe that is already accelerated.
    """
    check_counts(steps, seed)
    if steps < 2:
        raise ValueError(f"steps={steps}: steps are compared with each other, so at least 2 are needed")
    check_prompt(prompt)
    settings = settings_of(pipe, prompt, guidance_scale, call)
    plans = {
        name: recording_plan(pipe, branches or spread(part.branches), steps)
        for name, part in find_denoisers(pipe).items()
    }
    with accelerate(pipe, plans) as session, own_progress_bar(pipe):
        recorders = {name: FeatureRecorder(scheduler) for name, scheduler in session.denoisers.items()}
        pipe.set_progress_bar_config(disable=None if progress else True)
        noise = torch.Generator().manual_seed(seed)
        pipe(**settings, num_inference_steps=steps, generator=noise, output_type="latent")
    for recorder in recorders.values():
        recorder.finish()
    return [Similarity(name, recorder.times, recorder.cosines()) for name, recorder in recorders.items()]


def spread(count: int) -> list[int]:
    """At most four branches of so many, the shallowest and the deepest among them."""
    return sorted({round(branch) for branch in np.linspace(0, count - 1, min(count, MOST_BRANCHES))})
