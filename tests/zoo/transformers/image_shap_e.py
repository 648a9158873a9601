"""Shap-E: a prior that makes the latent of a thing from words or a picture."""

from typing import Any

from diffusers import HeunDiscreteScheduler, PriorTransformer
from diffusers.pipelines.shap_e.renderer import ShapERenderer

from tests.zoo import parts
from tests.zoo.case import STEPS
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case

SHAPE = {
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "embedding_dim": EMBEDDING,
    "num_embeddings": 8,
    "num_layers": 6,
    "time_embed_dim": 16,
    "clip_embed_dim": 2 * EMBEDDING,
    "additional_embeddings": 0,
    "time_embed_act_fn": "gelu",
    "norm_in_type": "layer",
    "embedding_proj_norm_type": None,
    "encoder_hid_proj_type": None,
    "added_emb_type": None,
}
OF_TEXT = {"embedding_proj_dim": EMBEDDING}
OF_PICTURE = {"embedding_proj_dim": EMBEDDING, "embedding_proj_norm_type": "layer", "num_embeddings": 9}
RENDERER = {
    "param_shapes": ((8, 93), (8, 8), (8, 8), (8, 8)),
    "d_latent": EMBEDDING,
    "d_hidden": 8,
    "n_output": 12,
    "background": (0.1, 0.1, 0.1),
}


def build(cls: Any, shape: dict[str, Any], **more: Any) -> Any:
    return parts.quiet(
        cls(
            prior=lively(0, lambda: PriorTransformer(**SHAPE | shape)),
            scheduler=HeunDiscreteScheduler(
                beta_schedule="exp",
                prediction_type="sample",
                use_karras_sigmas=True,
                clip_sample=True,
                clip_sample_range=1.0,
            ),
            shap_e_renderer=parts.seeded(1, lambda: ShapERenderer(**RENDERER)),
            **more,
        )
    )


def from_text(cls: Any) -> Any:
    encoder = parts.text_encoder_with_projection(projection_dim=EMBEDDING)
    return build(cls, OF_TEXT, text_encoder=encoder, tokenizer=parts.tokenizer())


def from_picture(cls: Any) -> Any:
    encoder = {"image_encoder": parts.image_encoder(), "image_processor": parts.feature_extractor()}
    return build(cls, OF_PICTURE, **encoder)


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    """Two predictions a step."""
    call = {
        "num_inference_steps": STEPS,
        "guidance_scale": 5.0 if guided else 1.0,
        "generator": parts.generator(),
        "output_type": "latent",
    }
    return pipe(**call | changes).images


CASES = [
    case("ShapEPipeline", "other", from_text, sample, lambda: {"prompt": parts.PROMPT}),
    case("ShapEImg2ImgPipeline", "other", from_picture, sample, lambda: {"image": parts.pil_picture()}),
]
