"""VisualCloze: a row of pictures, of which the last is drawn, then drawn again larger; with Flux Fill."""

from typing import Any

from tests.zoo import parts
from tests.zoo.case import STEPS
from tests.zoo.parts import EMBEDDING, TOKENS
from tests.zoo.transformers import flux
from tests.zoo.transformers.parts import case, flow
from tests.zoo.transformers.words import t5_and_tokenizer


def build(cls: Any) -> Any:
    of_words = parts.prompted() | {f"{name}_2": part for name, part in t5_and_tokenizer().items()}
    return parts.quiet(
        cls(
            scheduler=flow(),
            vae=flux.vae(),
            transformer=flux.transformer(**flux.OF_FILL, pooled_projection_dim=EMBEDDING),
            resolution=parts.PICTURE,
            **of_words,
        )
    )


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    """Guidance is a number that the transformer is told."""
    first, second, third = (parts.pil_picture(seed=seed) for seed in (5, 6, 7))
    call = {
        "task_prompt": "a cat",
        "content_prompt": "a dog",
        "image": [[first, second], [third, None]],
        "num_inference_steps": STEPS,
        "guidance_scale": 5.0 if guided else 1.0,
        "generator": parts.generator(),
        "output_type": "latent",
        "max_sequence_length": TOKENS,
    }
    return pipe(**call | changes).images


def size() -> dict[str, int]:
    return {"upsampling_height": parts.PICTURE, "upsampling_width": parts.PICTURE}


CASES = [
    case("VisualClozeGenerationPipeline", "image", build, sample),
    case("VisualClozePipeline", "image", build, sample, size),
]
