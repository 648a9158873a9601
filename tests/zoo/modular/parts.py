"""How the modular pipelines of the zoo are built and called."""

from collections.abc import Callable, Iterator
from typing import Any

import diffusers
import torch

from tests.zoo.case import STEPS, Case
from tests.zoo.parts import generator

SIDE = 64  # height and width of a picture, which becomes a latent of 8x8


def core(name: str) -> Any:
    """The blocks of a modular pipeline class that come behind the encoders and before the decoder."""
    blocks = getattr(diffusers, getattr(diffusers, name).default_blocks_name)
    return blocks().sub_blocks["denoise"]


def build(blocks: Any, **components: Any) -> Any:
    """A pipeline of these blocks, without progress bars."""
    pipe = blocks.init_pipeline()
    pipe.update_components(**components)
    for block in with_nested(pipe._blocks):
        if hasattr(block, "set_progress_bar_config"):
            block.set_progress_bar_config(disable=True)
    return pipe


def with_nested(block: Any) -> Iterator[Any]:
    yield block
    for inner in block.sub_blocks.values():
        yield from with_nested(inner)


def guide(pipe: Any, guided: bool) -> None:
    """Switch the guiders of a pipeline on or off."""
    for part in pipe.components.values():
        if isinstance(part, diffusers.guiders.BaseGuidance):
            (part.enable if guided else part.disable)()
            part.guidance_scale = 5.0  # some families begin without guidance


def run(pipe: Any, guided: bool, output: Any = "latents", **inputs: Any) -> Any:
    """What a call of `STEPS` steps puts out, as one tensor."""
    guide(pipe, guided)
    call = {"num_inference_steps": STEPS, "generator": generator()}
    known = set(pipe.blocks.input_names)
    made = pipe(output=output, **{name: value for name, value in call.items() if name in known} | inputs)
    if isinstance(made, dict):
        made = list(made.values())
    return torch.cat([part.flatten() for part in made]) if isinstance(made, list) else made


def sized(side: int = SIDE, **more: Any) -> dict[str, Any]:
    return {"height": side, "width": side} | more


def case(
    name: str,
    components: Callable[[], dict[str, Any]],
    inputs: Callable[[], dict[str, Any]],
    *,
    family: str = "image",
    blocks: Callable[[], Any] | None = None,
    sample: Callable[..., Any] = run,
    **about: Any,
) -> Case:
    """A case of a modular pipeline class.

    Args:
        name: of the class; a variant of it in brackets behind it.
        components: makes its parts.
        inputs: makes what a call is given beside the steps and the generator.
        family: image, video or audio.
        blocks: makes its blocks; those between the encoders and the decoder if not given.
        sample: `sample(pipe, guided, **inputs)` runs it.
        about: further fields of a `Case`.
    """
    make_blocks = blocks or (lambda: core(name.split(" ")[0]))
    return Case(
        name,
        family,
        lambda: build(make_blocks(), **components()),
        lambda pipe, guided: sample(pipe, guided, **inputs()),
        **about,
    )
