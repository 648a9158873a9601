"""Options that several commands share, each described once."""

from pathlib import Path
from typing import Annotated

import typer

Task = Annotated[str, typer.Option(help="text-to-image, inpaint, controlnet or text-to-video.")]
Model = Annotated[
    str | None,
    typer.Option(
        help="Pipeline: a folder, or an id on the Hugging Face hub.", show_default="the shipped miniature"
    ),
]
Image = Annotated[
    Path | None,
    typer.Option(
        help="For inpaint the picture to change, for controlnet the control image, such as edges.",
        show_default="the miniature's own",
    ),
]
Mask = Annotated[
    Path | None,
    typer.Option(help="For inpaint: white is drawn anew.", show_default="the miniature's own"),
]
Frames = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="For text-to-video: frames of the clip.",
        show_default="the pipeline's own, 8 for the shipped miniature",
    ),
]
ControlNet = Annotated[
    str | None,
    typer.Option(help="For controlnet: one to add to --model.", show_default="the pipeline's own"),
]
MotionAdapter = Annotated[
    str | None,
    typer.Option(
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
    typer.Option(
        help="Strength of classifier-free guidance.",
        show_default="the pipeline's own, 3 for the shipped miniature",
    ),
]
NegativePrompt = Annotated[
    str | None, typer.Option(help="What the pictures should not show.", show_default=False)
]
Height = Annotated[int | None, typer.Option(help="In pixels.", show_default="the pipeline's own")]
Width = Annotated[int | None, typer.Option(help="In pixels.", show_default="the pipeline's own")]
Device = Annotated[str, typer.Option(help="Such as cuda:1; auto takes the first of cuda, mps and cpu.")]
Dtype = Annotated[
    str, typer.Option(help="float32, float16 or bfloat16; auto is float32 on a CPU, else float16.")
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="CPU threads; 1 is quicker than many on a busy machine.",
        show_default="torch's own",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")]
