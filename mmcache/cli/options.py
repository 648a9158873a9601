"""Options that several commands share, each described once."""

from pathlib import Path
from typing import Annotated, Any

import typer

PIPELINE = "What draws, and of what"  # the heading of these options in the help


def of_pipeline(**settings: Any) -> Any:
    """An option of what draws."""
    return typer.Option(rich_help_panel=PIPELINE, **settings)


Prompt = Annotated[
    str | None,
    typer.Argument(help="What to draw.", show_default="the shipped miniature's, for each task"),
]
Plan = Annotated[
    str | None,
    typer.Option(
        help="How to cache: a preset (see `mmcache presets`) or a plan file.",
        show_default="the architecture's own",
    ),
]
Interval = Annotated[
    int | None,
    typer.Option(help="A full step every so many steps, in place of the plan's policy.", show_default=False),
]
Branch = Annotated[
    int | None,
    typer.Option(
        help="Skip branch of cached steps, in place of the plan's: 0 is the cheapest.", show_default=False
    ),
]
Steps = Annotated[int, typer.Option(help="Sampling steps.")]
Seed = Annotated[int, typer.Option(help="Of the noise: the same seed draws the same picture.")]
FirstSeed = Annotated[int, typer.Option(help="Of the first picture's noise; the next has the next.")]
Task = Annotated[str, of_pipeline(help="text-to-image, inpaint, controlnet or text-to-video.")]
Model = Annotated[
    str | None,
    of_pipeline(
        help="Pipeline: a folder, an id on the Hugging Face hub, or the name of a shipped miniature.",
        show_default="the task's miniature",
    ),
]
Image = Annotated[
    Path | None,
    of_pipeline(
        help="For inpaint the picture to change, for controlnet the control image, such as edges.",
        show_default="the miniature's own",
    ),
]
Mask = Annotated[
    Path | None,
    of_pipeline(help="For inpaint: white is drawn anew.", show_default="the miniature's own"),
]
Frames = Annotated[
    int | None,
    of_pipeline(
        min=1,
        help="For text-to-video: frames of the clip.",
        show_default="the pipeline's own, 8 for the shipped miniature",
    ),
]
ControlNet = Annotated[
    str | None,
    of_pipeline(help="For controlnet: one to add to --model.", show_default="the pipeline's own"),
]
MotionAdapter = Annotated[
    str | None,
    of_pipeline(
        help="For text-to-video: an AnimateDiff motion adapter to add to --model.",
        show_default="the pipeline's own",
    ),
]
Prompts = Annotated[
    Path | None,
    typer.Option(
        help="A text file with a prompt in each line.", show_default="captions of the shipped miniature"
    ),
]
GuidanceScale = Annotated[
    float | None,
    of_pipeline(
        help="Strength of classifier-free guidance.",
        show_default="the pipeline's own, 3 for the shipped miniature",
    ),
]
NegativePrompt = Annotated[
    str | None, of_pipeline(help="What the pictures should not show.", show_default=False)
]
Height = Annotated[int | None, of_pipeline(help="In pixels.", show_default="the pipeline's own")]
Width = Annotated[int | None, of_pipeline(help="In pixels.", show_default="the pipeline's own")]
Device = Annotated[str, of_pipeline(help="Such as cuda:1; auto takes the first of cuda, mps and cpu.")]
Dtype = Annotated[
    str, of_pipeline(help="float32, float16 or bfloat16; auto is float32 on a CPU, else float16.")
]
Threads = Annotated[
    int | None,
    of_pipeline(
        min=1,
        help="CPU threads; 1 is quicker than many on a busy machine.",
        show_default="torch's own",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")]
