"""A pipeline class of diffusers, small and random, and how to sample with it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

STEPS = 6


@dataclass(frozen=True)
class Case:
    """One row of the table of pipelines.

    Attributes:
        pipeline: the class's name as diffusers exports it; a variant of it in brackets behind it.
        family: image, inpainting, controlnet, video, audio or other.
        make: builds the pipeline, with the same weights every time.
        sample: `sample(pipe, guided)` runs it with a fixed seed for `STEPS` steps and returns a tensor or
            array; `guided` chooses between two settings of guidance.
        refused: words of the reason why it is refused; None for a pipeline that is accelerated.
        guidance: False where the pipeline has no guidance; then there is one setting only.
        counted: False where multiply-adds cannot be counted, since layers of the pipeline's own look at data.
        ends: False where a pipeline leaves out its sampler's last step by itself: nothing shows that a run is
            over, and features are held until the next one.
        folder: of its file in the zoo: transformers, modular, or "" for a U-Net; filled in by the collection.
        first: whether it is the first of its file; likewise.
    """

    pipeline: str
    family: str
    make: Callable[[], Any]
    sample: Callable[[Any, bool], Any]
    refused: str | None = None
    guidance: bool = True
    counted: bool = True
    ends: bool = True
    folder: str = ""
    first: bool = False

    @property
    def name(self) -> str:
        """For a test's id."""
        return self.pipeline.replace(" ", "-").replace("(", "").replace(")", "")
