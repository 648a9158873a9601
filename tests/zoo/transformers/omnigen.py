"""OmniGen: words, given pictures and the noisy one in one stream; guidance in a batch of two or three."""

from typing import Any

import torch
from diffusers import OmniGenTransformer2DModel
from diffusers.pipelines.omnigen import pipeline_omnigen
from diffusers.pipelines.omnigen.processor_omnigen import OmniGenCollator, OmniGenMultiModalProcessor

from tests.zoo import parts
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case, deep_vae, drawing, flow, run

PICTURE = 64  # sixteen times the grid of patches, whatever the VAE
SHAPE = {
    "in_channels": 4,
    "patch_size": 2,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 16,
    "num_layers": 6,
    "pad_token_id": 0,
    "vocab_size": 1024,
    "max_position_embeddings": 1024,
    "original_max_position_embeddings": 1024,
    "rope_scaling": {"long_factor": [1.0, 1.0, 1.0, 1.0], "short_factor": [1.0, 1.0, 1.0, 1.0]},
    "pos_embed_max_size": 8,
    "time_step_dim": 8,
}


class Processor(OmniGenMultiModalProcessor):
    """Without torchvision, which the original's transforms are from."""

    def __init__(self, text_tokenizer: Any, max_image_size: int = 1024) -> None:
        self.text_tokenizer = text_tokenizer
        self.max_image_size = max_image_size
        self.collator = OmniGenCollator()

    def process_image(self, image: torch.Tensor) -> torch.Tensor:
        return 2 * image - 1


# For good, not only while one is built: `from_pipe` builds another one.
pipeline_omnigen.OmniGenMultiModalProcessor = Processor


def build(cls: Any) -> Any:
    return parts.quiet(
        cls(
            transformer=lively(0, lambda: OmniGenTransformer2DModel(**SHAPE)),
            scheduler=flow(invert_sigmas=True, num_train_timesteps=1),
            vae=deep_vae(shift_factor=0.1),
            tokenizer=parts.tokenizer(),
        )
    )


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    call = {"prompt": "a cat", "height": PICTURE, "width": PICTURE}
    return run(pipe, guided, **call | changes)


def with_picture() -> dict[str, Any]:
    picture = parts.picture(PICTURE)[0]
    return {"prompt": "a cat <img><|image_1|></img>", "input_images": [picture]}


CASES = [
    case("OmniGenPipeline", "image", build, sample),
    case("OmniGenPipeline (picture)", "image", build, drawing(sample), with_picture),
]
