"""Tiny random parts that the pipelines with a transformer share; the same weights every time."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import diffusers
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler

from tests.zoo.case import STEPS, Case
from tests.zoo.parts import EMBEDDING, PICTURE, generator, mask, picture, vae

WORDS = 5  # tokens of a prompt given as an embedding
STRENGTH = 0.8  # of six steps, four or five are run, as the pipeline rounds


def flow(**changes: Any) -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(**changes)


def deep_vae(**changes: Any) -> AutoencoderKL:
    """Pictures (3, 8h, 8w) to latents (4, h, w)."""
    shape = {
        "block_out_channels": (4,) * 4,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
    }
    return vae(**shape | changes)


def noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed))


def prompts(
    channels: int = EMBEDDING,
    words: int = WORDS,
    pooled: int | None = None,
    mask: str | None = None,
    ones: torch.dtype = torch.long,
) -> dict[str, torch.Tensor]:
    """What stands in for a prompt and a negative prompt.

    Args:
        channels: of an embedding of a token.
        words: tokens.
        pooled: channels of the pooled embeddings; None for no such.
        mask: "attention_mask" or "embeds_mask", as the family calls the masks; None for no such. The negative
            prompt is a token shorter.
        ones: what the numbers of a mask are.
    """
    given: dict[str, torch.Tensor] = {}
    for seed, negative in ((7, ""), (8, "negative_")):
        given[f"{negative}prompt_embeds"] = noise(1, words, channels, seed=seed)
        if pooled:
            given[f"{negative}pooled_prompt_embeds"] = noise(1, pooled, seed=seed + 2)
        if mask:
            given[f"{negative}prompt_{mask}"] = (torch.arange(words) < words - bool(negative)).to(ones)[None]
    return given


def positive(given: dict[str, Any]) -> dict[str, Any]:
    """Without what stands in for the negative prompt."""
    return {name: value for name, value in given.items() if "negative" not in name}


def seeing(model: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The autoencoder, whose encoder is shown `change(picture)`; of no class of its own, for `from_pipe`."""
    encode = model.encode
    model.encode = lambda x, *args, **kwargs: encode(change(x), *args, **kwargs)
    return model


def reducing(model: Any, by: int) -> Any:
    """The autoencoder, whose encoder is shown each picture `by` times smaller."""
    return seeing(model, lambda x: x[..., ::by, ::by])


def run(
    pipe: Any, guided: bool, scale: str | None = "guidance_scale", off: float = 1.0, **changes: Any
) -> Any:
    """Latents of a call with `STEPS` steps for a picture of `PICTURE`; `scale` is the argument of guidance.

    A pipeline without guidance has None for it; `off` is the value that switches guidance off.
    """
    call = {
        "height": PICTURE,
        "width": PICTURE,
        "num_inference_steps": STEPS,
        "generator": generator(),
        "output_type": "latent",
    }
    if scale:
        call[scale] = 5.0 if guided else off
    return pipe(**call | changes).images


def drawing(sample: Callable[..., Any]) -> Callable[..., Any]:
    """`sample` of a pipeline that draws some numbers without the generator: the same ones every time."""

    @wraps(sample)
    def seeded(pipe: Any, guided: bool, **changes: Any) -> Any:
        torch.manual_seed(0)
        return sample(pipe, guided, **changes)

    return seeded


def on_picture() -> dict[str, Any]:
    """What an img2img pipeline is given beside the prompt."""
    return {"image": picture(), "strength": STRENGTH}


def masked() -> dict[str, Any]:
    """What an inpainting pipeline is given beside the prompt."""
    return on_picture() | {"mask_image": mask()}


def control() -> dict[str, Any]:
    """What a ControlNet is given."""
    return {"control_image": picture(seed=6)}


def case(
    name: str,
    family: str,
    make: Callable[[Any], Any],
    sample: Callable[..., Any],
    inputs: Callable[[], dict[str, Any]] = dict,
    **more: Any,
) -> Case:
    """A case whose name begins with the class.

    Args:
        name: of the class; a variant of it in brackets behind it.
        family: image, inpainting, controlnet or another.
        make: builds a pipeline of the class that it is given.
        sample: `sample(pipe, guided, **inputs)` runs it.
        inputs: what the call is given beside what `sample` gives it.
        more: further fields of a `Case`.
    """
    cls = getattr(diffusers, name.split(" ")[0])
    return Case(
        name, family, lambda: make(cls), lambda pipe, guided: sample(pipe, guided, **inputs()), **more
    )
