"""python -m mmcache_demos.serving: serve images over HTTP; needs pip install "mmcache-demos[serving]"."""

from pathlib import Path
from typing import Annotated

import typer

from mmcache.tools.loading import load_pipeline
from mmcache_demos import SHIPPED, WHOLE, load_miniature
from mmcache_demos.serving.app import make_app
from mmcache_demos.serving.service import ImageService


def main(
    model: Annotated[str, typer.Option(help="A folder, an id on the hub, or a miniature's name.")] = WHOLE,
    workers: Annotated[int, typer.Option(min=1, help="Images that are sampled at once.")] = 2,
    loras: Annotated[Path | None, typer.Option(help="A folder of LoRA files, *.safetensors.")] = None,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen at.")] = 8000,
) -> None:
    """Serve images until Ctrl-C."""
    import uvicorn

    try:
        pipe = load_miniature(model) if model in SHIPPED else load_pipeline(model)
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error), param_hint="--model") from None
    uvicorn.run(make_app(ImageService(pipe, workers=workers, loras=loras)), host=host, port=port)


if __name__ == "__main__":
    typer.run(main)
