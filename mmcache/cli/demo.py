"""`mmcache demo`: the page that compares cached and full runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mmcache.cli import options
from mmcache.cli.completion import complete_model
from mmcache.cli.demos_package import require_demos
from mmcache.cli.terminal import note, plain_errors, quiet_libraries

LIMITS = "Limits"


def demo(
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 is reached from other machines too.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port.", show_default="the first free one from 7860 on"),
    ] = None,
    share: Annotated[
        bool,
        typer.Option("--share", help="Open a tunnel of gradio's: anyone who knows its address has access."),
    ] = False,
    auth: Annotated[
        str | None,
        typer.Option(
            metavar="USER:PASSWORD",
            envvar="MMCACHE_DEMO_AUTH",
            show_envvar=True,
            help="Login that every visitor needs. Others on this machine can read a command line: better set "
            "the environment variable.",
            show_default="nothing",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Pipeline to offer: a folder, or an id on the Hugging Face hub. Give it again for more; the "
            "first is what the page begins with. The shipped miniatures are always offered.",
            show_default="the shipped miniatures",
            autocompletion=complete_model,
        ),
    ] = None,
    allow_model_choice: Annotated[
        bool,
        typer.Option("--allow-model-choice", help="Let visitors type other ids of the hub; never folders."),
    ] = False,
    controlnet: options.ControlNet = None,
    motion_adapter: options.MotionAdapter = None,
    plan: Annotated[
        list[Path] | None,
        typer.Option(
            help="Plan file to offer beside the presets. Give it again for more.", show_default=False
        ),
    ] = None,
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    threads: options.Threads = None,
    max_steps: Annotated[int, typer.Option(help="The most steps of a run.", rich_help_panel=LIMITS)] = 100,
    max_side: Annotated[
        int, typer.Option(help="The most pixels along a side of an image.", rich_help_panel=LIMITS)
    ] = 1024,
    max_frames: Annotated[int, typer.Option(help="The most frames of a video.", rich_help_panel=LIMITS)] = 16,
    max_upload: Annotated[
        float, typer.Option(help="The most MiB of a file that is uploaded.", rich_help_panel=LIMITS)
    ] = 10,
    max_waiting: Annotated[
        int, typer.Option(help="The most runs that wait for their turn.", rich_help_panel=LIMITS)
    ] = 20,
) -> None:
    """Open a page that runs pipelines in full and cached, side by side.

    Tabs for images, inpainting, ControlNet and videos, on the shipped miniatures or on models of yours.
    Visitors' files are deleted when it ends (Ctrl-C).
    """
    with plain_errors():
        require_demos("the demo comes")
        if sys.stderr.isatty():  # somebody waits
            note("the libraries and the model are loaded first; the address comes then")
        quiet_libraries()
        from mmcache_demos.app.limits import Limits
        from mmcache_demos.app.server import Server, launch, require_gradio

        require_gradio()
        from mmcache_demos.app.models import Offer

        parts = {"controlnet": controlnet, "text-to-video": motion_adapter}
        launch(
            Server(
                host=host,
                port=port,
                share=share,
                auth=user_and_password(auth),
                offer=Offer(
                    models=tuple(model or ()),
                    typed=allow_model_choice,
                    parts={task: part for task, part in parts.items() if part is not None},
                    device=device,
                    dtype=dtype,
                ),
                plans={path.stem: path for path in plan or ()},
                limits=Limits(
                    steps=max_steps,
                    side=max_side,
                    frames=max_frames,
                    upload_bytes=int(max_upload * 2**20),
                    waiting=max_waiting,
                ),
                threads=threads,
            )
        )


def user_and_password(auth: str | None) -> tuple[str, str] | None:
    """Both parts of USER:PASSWORD; a password may have colons.

    Raises:
        ValueError: one is missing.
    """
    if auth is None:
        return None
    user, _, password = auth.partition(":")
    if not user or not password:
        raise ValueError("--auth: wanted USER:PASSWORD, with something before and behind the colon")
    return user, password
