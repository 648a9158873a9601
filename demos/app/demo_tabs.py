"""The tabs that generate, as data: their tasks, what they say, what they begin with."""

from dataclasses import dataclass
from typing import NamedTuple

from mmcache.tools.tasks.tasks import Task, find_task
from mmcache_demos import GUIDANCE_SCALE
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.settings import Settings


class Example(NamedTuple):
    """Something that is worth seeing."""

    label: str
    prompt: str
    seed: int


@dataclass(frozen=True)
class DrawingTab:
    """One tab.

    Attributes:
        task: what it generates.
        title: on the tab.
        says: what there is to do, in a sentence.
        steps: sampling steps that it begins with.
        examples: what works at one click.
    """

    task: Task
    title: str
    says: str
    steps: int
    examples: tuple[Example, ...]

    def settings(self, model: str, limits: Limits | None = None) -> Settings:
        """What it begins with.

        Args:
            model: that is chosen.
            limits: that it stays within; None for none.
        """
        frames = self.task.settings.get("frames")
        return Settings(
            prompt=self.task.prompt,
            steps=min(self.steps, limits.steps) if limits else self.steps,
            guidance=GUIDANCE_SCALE,
            frames=min(frames, limits.frames) if limits and frames else frames,
            model=model,
        )


DRAWING_TABS = (
    DrawingTab(
        task=find_task("text-to-image"),
        title="Image",
        says="Your prompt becomes an image twice from the same noise: in a full run, and in a cached one.",
        steps=50,
        examples=(
            Example(
                "red hair",
                find_task("text-to-image").prompt,
                0,
            ),
            Example(
                "pink afro",
                "a person with a pink afro, sunglasses and blue overalls, looking serious, on a green "
                "background",
                3,
            ),
            Example(
                "beanie and beard",
                "a person with a red beanie, a beard, a blazer and a white shirt, smiling, on a blue "
                "background",
                5,
            ),
        ),
    ),
    DrawingTab(
        task=find_task("inpaint"),
        title="Inpainting",
        says="Paint over a part of the image: that part is generated anew, as the prompt says.",
        steps=50,
        examples=(
            Example(
                "a red beanie",
                find_task("inpaint").prompt,
                0,
            ),
            Example(
                "a green turban",
                "a person with a green turban, a blue hoodie and no glasses, smiling, on a yellow background",
                1,
            ),
            Example(
                "hat and sunglasses",
                "a person with a black hat, a blue hoodie and sunglasses, smiling, on a yellow background",
                3,
            ),
        ),
    ),
    DrawingTab(
        task=find_task("controlnet"),
        title="ControlNet",
        says="Draw lines, or upload an image whose edges are found: the result follows them.",
        steps=50,
        examples=(
            Example(
                "pink curls",
                find_task("controlnet").prompt,
                0,
            ),
            Example(
                "black curls",
                "a person with curly black hair, round glasses, a blazer and a red shirt, smiling, "
                "on a blue background",
                2,
            ),
            Example(
                "red curls",
                "a person with curly red hair, round glasses, a blazer and a white shirt, smiling, "
                "on a blue background",
                3,
            ),
        ),
    ),
    DrawingTab(
        task=find_task("text-to-video"),
        title="Video",
        says="A clip, twice from the same noise. The miniature moves left, right, up, down, in or out.",
        steps=25,
        examples=(
            Example(
                "moving left",
                find_task("text-to-video").prompt,
                0,
            ),
            Example(
                "zooming in",
                "a person with a black afro and a red hoodie, on a blue background, zooming in",
                1,
            ),
            Example(
                "moving up",
                "a person with a blonde bob and a blue hoodie, on a green background, moving up",
                3,
            ),
        ),
    ),
)
