"""CogVideoX: one list of dual blocks; ConsisID adds attention to a face between them."""

from typing import Any

from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    CogVideoXTransformer3DModel,
    ConsisIDTransformer3DModel,
)
from diffusers.pipelines.consisid.pipeline_consisid import (
    ConsisIDPipeline,  # diffusers exports it where there is OpenCV, which draws a face's key points
)

from tests.zoo.case import STEPS
from tests.zoo.parts import EMBEDDING, quiet, seeded
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import (
    CHANNELS,
    FRAMES,
    SIDE,
    case,
    clip,
    clip_and_prompts,
    picture_and_prompts,
    run_on_video,
)
from tests.zoo.transformers.parts import WORDS, noise, prompts

LATENT = SIDE // 8
SHAPE = {
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "time_embed_dim": 8,
    "text_embed_dim": EMBEDDING,
    "num_layers": 5,
    "sample_width": LATENT,
    "sample_height": LATENT,
    "sample_frames": FRAMES,
    "max_text_seq_length": WORDS,
    "use_rotary_positional_embeddings": True,
}
OF_TWO = {"in_channels": 2 * CHANNELS}  # beside the latent: a picture's or a control video's
IN_PAIRS = {"patch_size_t": 2, "patch_bias": False}  # CogVideoX 1.5: a patch has two frames
FACE = {"id_vit": 8, "id": 12, "scales": 2}
FACIAL = {
    "num_attention_heads": 3,
    "num_layers": 6,
    "is_train_face": True,
    "is_kps": True,
    "cross_attn_interval": 2,
    "cross_attn_dim_head": 4,
    "cross_attn_num_heads": 2,
    "LFE_id_dim": FACE["id"],
    "LFE_vit_dim": FACE["id_vit"],
    "LFE_depth": 2 * FACE["scales"],
    "LFE_dim_head": 4,
    "LFE_num_heads": 2,
    "LFE_num_id_token": 2,
    "LFE_num_querie": 3,
    "LFE_output_dim": 32,  # two thirds of the width
    "LFE_ff_mult": 1,
    "LFE_num_scale": FACE["scales"],
}


def vae() -> AutoencoderKLCogVideoX:
    """Videos (3, 4f + 1, 8h, 8w) to latents (4, f + 1, h, w)."""
    shape = {"block_out_channels": (4, 4, 4, 4), "layers_per_block": 1, "norm_num_groups": 2}
    return seeded(1, lambda: AutoencoderKLCogVideoX(**shape, latent_channels=CHANNELS))


def build(
    cls: Any,
    shape: dict[str, Any] | None = None,
    model: Any = CogVideoXTransformer3DModel,
    scheduler: Any = CogVideoXDDIMScheduler,
) -> Any:
    denoiser = lively(0, lambda: model(**SHAPE | (shape or {})))
    return quiet(
        cls(tokenizer=None, text_encoder=None, vae=vae(), transformer=denoiser, scheduler=scheduler())
    )


def stochastic(cls: Any) -> Any:
    return build(cls, {"use_rotary_positional_embeddings": False}, scheduler=CogVideoXDPMScheduler)


def of_two(cls: Any) -> Any:
    return build(cls, OF_TWO)


def with_face(cls: Any) -> Any:
    return build(cls, OF_TWO | FACIAL, ConsisIDTransformer3DModel, CogVideoXDPMScheduler)


def text() -> dict[str, Any]:
    return prompts() | {"num_frames": FRAMES}


def picture() -> dict[str, Any]:
    return picture_and_prompts() | {"num_frames": FRAMES}


def half_of_clip() -> dict[str, Any]:
    """Half of twice the steps."""
    return clip_and_prompts() | {"num_inference_steps": 2 * STEPS, "strength": 0.5}


def face() -> dict[str, Any]:
    seen = [noise(1, 3, FACE["id_vit"], seed=20 + scale) for scale in range(FACE["scales"])]
    return picture() | {"id_vit_hidden": seen, "id_cond": noise(1, FACE["id"], seed=30)}


CASES = [
    case("CogVideoXPipeline", build, text, run_on_video),
    case("CogVideoXPipeline (stochastic)", stochastic, text, run_on_video),
    case("CogVideoXPipeline (frames in pairs)", lambda cls: build(cls, IN_PAIRS), text, run_on_video),
    case(
        "CogVideoXPipeline (dynamic guidance)",
        build,
        lambda: text() | {"use_dynamic_cfg": True},
        run_on_video,
    ),
    case("CogVideoXImageToVideoPipeline", of_two, picture, run_on_video),
    case(
        "CogVideoXImageToVideoPipeline (frames in pairs)",
        lambda cls: build(cls, OF_TWO | IN_PAIRS | {"ofs_embed_dim": 8}),
        picture,
        run_on_video,
    ),
    case("CogVideoXVideoToVideoPipeline", build, half_of_clip, run_on_video),
    case("CogVideoXFunControlPipeline", of_two, lambda: prompts() | {"control_video": clip()}, run_on_video),
    case("ConsisIDPipeline", lambda _: with_face(ConsisIDPipeline), face, run_on_video),
]
