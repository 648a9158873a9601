"""Options that several commands share, each described once."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from mmcache.cli.completion import (
    complete_model,
    complete_plan,
    device_names,
    dtype_names,
    sampler_names,
    starting,
    task_names,
)
from mmcache.cli.parsing import parse_branch, parse_finite, parse_out, parse_threads
from mmcache.cli.terminal import BAD_INPUT, fail

PIPELINE = "Pipeline and inputs"  # the heading of these options in the help


def in_one_line(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A parser whose refusals look like those of all other inputs, in one line instead of typer's box."""

    def parse_or_exit(word: Any) -> Any:
        try:
            return parse(word)
        except ValueError as error:
            return fail(str(error), BAD_INPUT)

    return parse_or_exit


def of_pipeline(**settings: Any) -> Any:
    """An option of the pipeline and its inputs."""
    return typer.Option(rich_help_panel=PIPELINE, **settings)


Prompt = Annotated[
    str | None,
    typer.Argument(help="Prompt.", show_default="the shipped miniature's, for each task"),
]
Plan = Annotated[
    str | None,
    typer.Option(
        help="How to cache: a preset (see `mmcache presets`) or a plan file.",
        show_default="the architecture's own",
        autocompletion=complete_plan,
    ),
]
Interval = Annotated[
    int | None,
    typer.Option(help="Run a full step every N steps (overrides the plan's policy).", show_default=False),
]
Branch = Annotated[
    Any,  # a number, or none
    typer.Option(
        parser=in_one_line(partial(parse_branch, "--branch")),
        metavar="N|none",
        help="Skip branch of cached steps (overrides the plan's); 0 is the cheapest, none runs no layer.",
        show_default=False,
    ),
]
Steps = Annotated[int, typer.Option(help="Sampling steps.")]
Seed = Annotated[int, typer.Option(help="Seed of the noise: the same seed gives the same image.")]
FirstSeed = Annotated[
    int, typer.Option(help="Seed of the first image's noise; the next image has the next seed.")
]
Task = Annotated[
    str,
    of_pipeline(
        help="text-to-image, inpaint, controlnet or text-to-video.", autocompletion=starting(task_names)
    ),
]
Model = Annotated[
    str | None,
    of_pipeline(
        help="Pipeline: a folder, an id on the Hugging Face hub, or the name of a shipped miniature.",
        show_default="the task's miniature",
        autocompletion=complete_model,
    ),
]
Revision = Annotated[
    str | None,
    of_pipeline(
        help="Revision of a model on the hub: a commit, a tag or a branch. Only a commit never changes.",
        show_default="the newest",
    ),
]
Image = Annotated[
    Path | None,
    of_pipeline(
        help="Image to change (inpaint), or control image such as edges (controlnet).",
        show_default="the miniature's own",
    ),
]
Mask = Annotated[
    Path | None,
    of_pipeline(help="Mask for inpaint: white is generated anew.", show_default="the miniature's own"),
]
Frames = Annotated[
    int | None,
    of_pipeline(
        min=1,
        help="For text-to-video: frames of the video.",
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
    Any,  # a finite number
    of_pipeline(
        parser=in_one_line(partial(parse_finite, "--guidance-scale")),
        metavar="FLOAT",
        help="Strength of classifier-free guidance.",
        show_default="the pipeline's own, 3 for the shipped miniature",
    ),
]
NegativePrompt = Annotated[str | None, of_pipeline(help="Negative prompt.", show_default=False)]
Height = Annotated[int | None, of_pipeline(help="In pixels.", show_default="the pipeline's own")]
Width = Annotated[int | None, of_pipeline(help="In pixels.", show_default="the pipeline's own")]
Device = Annotated[
    str,
    of_pipeline(
        help="Such as cuda:1; auto takes the first of cuda, mps and cpu.",
        autocompletion=starting(device_names),
    ),
]
Dtype = Annotated[
    str,
    of_pipeline(
        help="float32, float16 or bfloat16; auto is float32 on a CPU, else float16.",
        autocompletion=starting(dtype_names),
    ),
]
Variant = Annotated[
    str | None,
    of_pipeline(help="Variant of the weights, such as fp16; by default the only one that a folder has."),
]
Threads = Annotated[
    Any,  # a number
    of_pipeline(
        parser=in_one_line(parse_threads),
        metavar="INTEGER",
        help="CPU threads; 1 is quicker than many on a busy machine.",
        show_default="torch's own",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="ddim, pndm (PLMS), euler, heun, ...",
        show_default="the pipeline's own",
        autocompletion=starting(sampler_names),
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")]


def out(help: str) -> Any:
    """The option --out: a path that says something."""
    return typer.Option(parser=in_one_line(partial(parse_out, "--out")), metavar="PATH", help=help)
