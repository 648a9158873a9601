"""Wan 2.1 and 2.2: one list of blocks; VACE has a control network's blocks beside it."""

from typing import Any

from diffusers import (
    WanAnimateTransformer3DModel,
    WanTransformer3DModel,
    WanVACETransformer3DModel,
)

from tests.zoo.case import STEPS
from tests.zoo.parts import EMBEDDING, feature_extractor, image_encoder, pil_picture, quiet
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import (
    CHANNELS,
    FRAMES,
    SIDE,
    case,
    clip,
    clip_and_prompts,
    grey_clip,
    picture_and_prompts,
    run_on_video,
    unipc_flow,
    wan_vae,
)
from tests.zoo.transformers.parts import flow, prompts

MASKED = 2 * CHANNELS + 4  # channels: the latent, a picture's, and a mask of four frames
CONTROL = 2 * CHANNELS + 8 * 8  # channels: two videos' latents and a mask of 8x8 pixels
BOUNDARY = 0.6  # experts change at 600 of 1000: each has three steps
PICTURE_TOKENS = 5  # of the encoder for pictures
FACE = 16  # height and width of a face
SHAPE = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "text_dim": EMBEDDING,
    "freq_dim": 16,
    "ffn_dim": 32,
    "num_layers": 5,
    "rope_max_seq_len": 32,
}
SEES_PICTURE = {"in_channels": MASKED, "image_dim": EMBEDDING, "added_kv_proj_dim": 24}
ANIMATED = SEES_PICTURE | {
    "latent_channels": CHANNELS,
    "motion_encoder_channel_sizes": {"4": 8, "8": 8, "16": 8},
    "motion_encoder_size": FACE,
    "motion_style_dim": 8,
    "motion_dim": 4,
    "motion_encoder_dim": 16,
    "face_encoder_hidden_dim": 16,
    "face_encoder_num_heads": 2,
    "inject_face_latents_blocks": 2,
    "num_layers": 6,
}
CONTROLLED = {"vace_layers": (0, 2, 4), "vace_in_channels": CONTROL}


def denoiser(cls: Any = WanTransformer3DModel, **changes: Any) -> Any:
    return lively(0, lambda: cls(**SHAPE | changes))


def build(cls: Any, **parts: Any) -> Any:
    """A pipeline without text encoder; `parts` are other and further ones."""
    of_all = {"tokenizer": None, "text_encoder": None, "vae": wan_vae(), "scheduler": flow()}
    return quiet(cls(**{"transformer": denoiser()} | of_all | parts))


def experts(cls: Any, model: Any = WanTransformer3DModel, **shape: Any) -> Any:
    """One denoiser for much noise, and one with a block more for little."""
    return build(
        cls,
        transformer=denoiser(model, **shape),
        transformer_2=denoiser(model, **shape | {"num_layers": 6}),
        boundary_ratio=BOUNDARY,
    )


def timestep_a_token(cls: Any) -> Any:
    return build(cls, expand_timesteps=True)


def seeing(cls: Any, model: Any = WanTransformer3DModel, shape: Any = SEES_PICTURE, **parts: Any) -> Any:
    """With an encoder for the picture."""
    sees = {"image_encoder": image_encoder(), "image_processor": feature_extractor()}
    return build(cls, transformer=denoiser(model, **shape), **sees | parts)


def seeing_two(cls: Any) -> Any:
    """Both pictures' tokens have a learned position."""
    return seeing(cls, shape=SEES_PICTURE | {"pos_embed_seq_len": 2 * PICTURE_TOKENS})


def vace(cls: Any) -> Any:
    return build(cls, transformer=denoiser(WanVACETransformer3DModel, **CONTROLLED))


def animate(cls: Any) -> Any:
    return seeing(cls, WanAnimateTransformer3DModel, ANIMATED, scheduler=unipc_flow())


def half_of_clip() -> dict[str, Any]:
    """Half of twice the steps."""
    return clip_and_prompts() | {"num_inference_steps": 2 * STEPS, "strength": 0.5}


def first_and_last_pictures() -> dict[str, Any]:
    return picture_and_prompts() | {"last_image": pil_picture(SIDE, seed=6)}


def masked_clip() -> dict[str, Any]:
    """And a picture for reference, whose latent stands before the others."""
    return clip_and_prompts() | {"mask": grey_clip(), "reference_images": [pil_picture(SIDE)]}


def pose_and_face(frames: int = 17) -> dict[str, Any]:
    """Segments of nine frames share one: seventeen frames are two segments, one after the other."""
    given = {"pose_video": clip(frames), "face_video": clip(frames, FACE), "segment_frame_length": FRAMES}
    return picture_and_prompts() | given | {"output_type": "pt"}


def replaced() -> dict[str, Any]:
    around = {"background_video": clip(), "mask_video": grey_clip()}
    return pose_and_face(FRAMES) | {"mode": "replace"} | around


CASES = [
    case("WanPipeline", build, prompts),
    case("WanPipeline (two experts)", experts, prompts),
    case("WanPipeline (a timestep a token)", timestep_a_token, prompts),
    case("WanImageToVideoPipeline", seeing, picture_and_prompts),
    case("WanImageToVideoPipeline (first and last)", seeing_two, first_and_last_pictures),
    case(
        "WanImageToVideoPipeline (two experts)",
        lambda cls: experts(cls, in_channels=MASKED),
        picture_and_prompts,
    ),
    case("WanImageToVideoPipeline (a timestep a token)", timestep_a_token, picture_and_prompts),
    case("WanVideoToVideoPipeline", build, half_of_clip, run_on_video),
    case("WanVACEPipeline", vace, masked_clip),
    case(
        "WanVACEPipeline (two experts)",
        lambda cls: experts(cls, WanVACETransformer3DModel, **CONTROLLED),
        masked_clip,
    ),
    case("WanAnimatePipeline", animate, pose_and_face, run_on_video),
    case("WanAnimatePipeline (replace)", animate, replaced, run_on_video),
]
