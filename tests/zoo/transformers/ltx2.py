"""LTX 2: one list of blocks that make a video and its sound together."""

from typing import Any

import torch
from diffusers import (
    AutoencoderKLLTX2Audio,
    AutoencoderKLLTX2Video,
    LTX2VideoTransformer3DModel,
    LTXEulerAncestralRFScheduler,
)
from diffusers.pipelines.ltx2 import LTX2LatentUpsamplerModel, LTX2TextConnectors
from diffusers.pipelines.ltx2.dfr_layout import LTX2DFREpilogueTile
from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition
from diffusers.pipelines.ltx2.pipeline_ltx2_hdr_lora import LTX2HDRReferenceCondition
from diffusers.pipelines.ltx2.pipeline_ltx2_ic_lora import LTX2ReferenceCondition
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder

from tests.zoo.parts import EMBEDDING, pil_picture, quiet, seeded
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import CHANNELS, SIDE, case, clip, run_on_video, settings
from tests.zoo.transformers.parts import flow, noise, prompts

FRAMES = 17  # three frames of the latent
LAYERS = 2  # of the text encoder, whose hidden states are all given
MELS = 8
WIDTH, AUDIO_WIDTH = 16, 8
SHAPE = {
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "num_attention_heads": 2,
    "attention_head_dim": WIDTH // 2,
    "cross_attention_dim": WIDTH,
    "audio_in_channels": CHANNELS,
    "audio_out_channels": CHANNELS,
    "audio_num_attention_heads": 2,
    "audio_attention_head_dim": AUDIO_WIDTH // 2,
    "audio_cross_attention_dim": AUDIO_WIDTH,
    "num_layers": 5,
    "caption_channels": EMBEDDING,
    "vae_scale_factors": (8, 8, 8),
    "rope_type": "split",
    "rope_double_precision": False,
    "perturbed_attn": True,
}
UNKNOWN_TO_DISTILLED = ("num_inference_steps", "guidance_scale")
GATED = {"gated_attn": True, "audio_gated_attn": True, "cross_attn_mod": True, "audio_cross_attn_mod": True}


def vae() -> AutoencoderKLLTX2Video:
    """Videos (3, 8f + 1, 8h, 8w) to latents (4, f + 1, h, w)."""
    shape = {
        "latent_channels": CHANNELS,
        "block_out_channels": (8, 8, 8),
        "decoder_block_out_channels": (8, 8, 8),
        "down_block_types": ("LTX2VideoDownBlock3D",) * 3,
        "layers_per_block": (1,) * 4,
        "decoder_layers_per_block": (1,) * 4,
        "spatio_temporal_scaling": (True,) * 3,
        "decoder_spatio_temporal_scaling": (True,) * 3,
        "decoder_inject_noise": (False,) * 4,
        "downsample_type": ("spatiotemporal",) * 3,
        "upsample_residual": (False,) * 3,
        "upsample_factor": (1,) * 3,
        "patch_size": 1,
    }
    return seeded(1, lambda: AutoencoderKLLTX2Video(**shape))


def audio_vae() -> AutoencoderKLLTX2Audio:
    shape = {
        "base_channels": 4,
        "ch_mult": (1,),
        "num_res_blocks": 1,
        "attn_resolutions": None,
        "latent_channels": 2,
        "mid_block_add_attention": False,
        "mel_bins": MELS,
    }
    return seeded(1, lambda: AutoencoderKLLTX2Audio(**shape))


def vocoder() -> LTX2Vocoder:
    shape = {
        "in_channels": 2 * MELS,
        "hidden_channels": 8,
        "upsample_kernel_sizes": [4, 4],
        "upsample_factors": [2, 2],
        "resnet_kernel_sizes": [3],
        "resnet_dilations": [[1, 3, 5]],
    }
    return seeded(1, lambda: LTX2Vocoder(**shape))


def temporal_upsampler() -> LTX2LatentUpsamplerModel:
    shape = {
        "mid_channels": 32,
        "num_blocks_per_stage": 1,
        "spatial_upsample": False,
        "temporal_upsample": True,
    }
    return seeded(1, lambda: LTX2LatentUpsamplerModel(in_channels=CHANNELS, **shape))


def connectors() -> LTX2TextConnectors:
    """From the text encoder's hidden states to what the blocks attend to, for the video and for the sound."""
    each = {
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "num_layers": 1,
        "num_learnable_registers": None,
    }
    shape = {f"{kind}_connector_{name}": value for kind in ("video", "audio") for name, value in each.items()}
    return seeded(
        1,
        lambda: LTX2TextConnectors(
            caption_channels=EMBEDDING,
            text_proj_in_factor=LAYERS,
            connector_rope_base_seq_len=32,
            rope_double_precision=False,
            rope_type="split",
            **shape,
        ),
    )


def build(cls: Any, shape: dict[str, Any] | None = None, **parts: Any) -> Any:
    of_all = {
        "transformer": lively(0, lambda: LTX2VideoTransformer3DModel(**SHAPE | (shape or {}))),
        "vae": vae(),
        "audio_vae": audio_vae(),
        "vocoder": vocoder(),
        "connectors": connectors(),
        "scheduler": flow(),
        "tokenizer": None,
        "text_encoder": None,
    }
    return quiet(cls(**of_all | parts))


def dfr(cls: Any, **parts: Any) -> Any:
    """With tokens for keyframes, which are told from the others by what is added to them."""
    return build(cls, {"use_keyframes_abs_pos_embedding": True}, **parts)


def refine(cls: Any) -> Any:
    scheduler = LTXEulerAncestralRFScheduler(eta=0.5)
    return dfr(cls, scheduler=scheduler, temporal_latent_upsampler=temporal_upsampler())


def text() -> dict[str, Any]:
    return prompts(LAYERS * EMBEDDING, mask="attention_mask")


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """Latents of the video and of the sound, one after the other; guided in three ways, or in none."""
    ways = ("modality_scale", "audio_modality_scale", "audio_guidance_scale")
    scales = dict.fromkeys(ways, 3.0 if guided else 1.0)
    scales |= dict.fromkeys(("stg_scale", "audio_stg_scale"), 1.0 if guided else 0.0)
    call = {"num_frames": FRAMES, "spatio_temporal_guidance_blocks": [2], "return_dict": False}
    made = pipe(**settings(guided, **call | scales | changes))
    return torch.cat([part.flatten() for part in made])


def picture() -> dict[str, Any]:
    """Not compressed and decompressed, which takes PyAV."""
    return text() | {"image": pil_picture(SIDE), "image_crf": 0}


def conditions() -> dict[str, Any]:
    """A picture for the first frame and, weakly, one for the last."""
    first = LTX2VideoCondition(frames=pil_picture(SIDE), index=0, crf=0)
    last = LTX2VideoCondition(frames=pil_picture(SIDE, seed=6), index=-1, strength=0.5, crf=0)
    return text() | {"conditions": [first, last]}


def references() -> dict[str, Any]:
    """A clip whose tokens stand beside the latents'."""
    return text() | {"reference_conditions": [LTX2ReferenceCondition(frames=clip(FRAMES))]}


def hdr_references() -> dict[str, Any]:
    return text() | {"reference_conditions": [LTX2HDRReferenceCondition(frames=clip(FRAMES))]}


def keyframes() -> dict[str, Any]:
    """The last frame's picture is made beside the video, 25 frames long, in tokens of its own."""
    sigmas = {"sigmas": [1.0, 0.9, 0.75, 0.6, 0.4, 0.2], "num_frames": FRAMES}
    return {name: value for name, value in text().items() if "negative" not in name} | sigmas


def in_tiles() -> dict[str, Any]:
    """The left half and the right one, each a call of the denoiser at every step."""
    halves = (slice(0, 2), slice(2, 4))
    tiles = [LTX2DFREpilogueTile(slice(0, 4), slice(0, 4), half, torch.ones(4, 4, 2)) for half in halves]
    return keyframes() | {"video_tiles": tiles}


def refined() -> dict[str, Any]:
    """A video of twice as many frames, in two tiles one after the other."""
    given = {
        "latents": noise(1, CHANNELS, 3, 4, 4, seed=21),
        "keyframes_latents": noise(1, CHANNELS, 2, 4, 4, seed=22),
        "keyframe_positions": [8, 16],
        "audio_latents": noise(1, 2, 12, MELS // 4, seed=23),
    }
    return keyframes() | given


def sample_video(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """The sound is for the blocks alone, and not made."""
    scales = {"modality_scale": 3.0 if guided else 1.0, "stg_scale": 1.0 if guided else 0.0}
    call = {"num_frames": FRAMES, "spatio_temporal_guidance_blocks": [2]}
    return run_on_video(pipe, guided, **call | scales | changes)


def sample_distilled(pipe: Any, _: bool, **changes: Any) -> torch.Tensor:
    """Without guidance, and with the steps given by their sigmas."""
    call = settings(False, return_dict=False, **changes)
    made = pipe(**{name: value for name, value in call.items() if name not in UNKNOWN_TO_DISTILLED})
    return torch.cat([part.flatten() for part in made if isinstance(part, torch.Tensor)])


CASES = [
    case("LTX2Pipeline", build, text, sample),
    case("LTX2Pipeline (2.3)", lambda cls: build(cls, GATED), text, sample),
    case("LTX2ImageToVideoPipeline", build, picture, sample),
    case("LTX2ConditionPipeline", build, conditions, sample),
    case("LTX2InContextPipeline", build, references, sample),
    case("LTX2HDRPipeline", build, hdr_references, sample_video),
    case("LTX2DFRPipeline", dfr, keyframes, sample_distilled, guidance=False),
    case(
        "LTX2DFRPipeline (tiles)",
        dfr,
        in_tiles,
        sample_distilled,
        guidance=False,
    ),
    case("LTX2DFRTemporalRefinePipeline", refine, refined, sample_distilled, guidance=False),
]
