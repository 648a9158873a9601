"""AnimateDiff and PIA: Stable Diffusion's U-Net with motion modules behind its layers."""

from typing import Any

import diffusers
import torch
from diffusers import MotionAdapter, SparseControlNetModel

from tests.zoo.case import STEPS, Case
from tests.zoo.parts import (
    PICTURE,
    PROMPT,
    TWO_LEVELS,
    controlnet,
    ddim,
    embeddings,
    embeddings_xl,
    generator,
    pil_picture,
    prompted,
    quiet,
    seeded,
    trained,
    unet,
    unet_xl,
    vae,
)

FRAMES = 3
VIDEO2VIDEO_STEPS = 2 * STEPS  # of which half are run
CONTEXT = 4  # frames that FreeNoise has in view at a time
MANY_FRAMES = 6


def motion_adapter(**changes: Any) -> MotionAdapter:
    """For `unet()` and `unet_xl()`."""
    shape = {
        "block_out_channels": TWO_LEVELS["block_out_channels"],
        "motion_layers_per_block": 1,
        "motion_num_attention_heads": 2,
        "motion_norm_num_groups": 4,
        "motion_max_seq_length": MANY_FRAMES,
    }
    return seeded(3, lambda: trained(MotionAdapter(**shape | changes)))


def sparse_controlnet() -> SparseControlNetModel:
    shape = {
        "block_out_channels": TWO_LEVELS["block_out_channels"],
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "cross_attention_dim": TWO_LEVELS["cross_attention_dim"],
        "attention_head_dim": 4,
        "down_block_types": ("CrossAttnDownBlockMotion", "DownBlockMotion"),
        "motion_num_attention_heads": 2,
        "motion_max_seq_length": MANY_FRAMES,
    }
    return seeded(2, lambda: trained(SparseControlNetModel(**shape)))


def build(cls: Any, adapter: MotionAdapter | None = None, **parts: Any) -> Any:
    """A pipeline with the parts of Stable Diffusion 1; `parts` are other and further ones."""
    of_all = {
        "vae": vae(),
        "text_encoder": None,
        "tokenizer": None,
        "unet": unet(),
        "motion_adapter": adapter or motion_adapter(),
        "scheduler": ddim(),
    }
    return quiet(cls(**of_all | parts))


def controlled(cls: Any) -> Any:
    return build(cls, controlnet=controlnet())


def sparsely_controlled() -> Any:
    return build(diffusers.AnimateDiffSparseControlNetPipeline, controlnet=sparse_controlnet())


def xl() -> Any:
    parts = {"unet": unet_xl(), "text_encoder_2": None, "tokenizer_2": None}
    return build(diffusers.AnimateDiffSDXLPipeline, **parts)


def pia() -> Any:
    """The first frame's latent and a mask stand beside each frame's: nine channels."""
    return build(diffusers.PIAPipeline, motion_adapter(conv_in_channels=9))


def free_noise() -> Any:
    pipe = build(diffusers.AnimateDiffPipeline, **prompted())
    pipe.enable_free_noise(context_length=CONTEXT, context_stride=2)
    return pipe


def free_init() -> Any:
    pipe = build(diffusers.AnimateDiffPipeline)
    pipe.enable_free_init(num_iters=2)
    return pipe


def frames(count: int = FRAMES) -> list[Any]:
    return [pil_picture(seed=seed) for seed in range(count)]


def run(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """Latents (1, 4, 3, 8, 8)."""
    call = {
        "num_inference_steps": STEPS,
        "guidance_scale": 5.0 if guided else 1.0,
        "output_type": "latent",
        "generator": generator(),
    }
    if "prompt" not in changes:
        call |= embeddings()
    return pipe(**call | changes).frames


def run_frames(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    return run(pipe, guided, **{"num_frames": FRAMES, "height": PICTURE, "width": PICTURE} | changes)


def run_controlled(pipe: Any, guided: bool) -> torch.Tensor:
    return run_frames(pipe, guided, conditioning_frames=frames())


def run_sparsely_controlled(pipe: Any, guided: bool) -> torch.Tensor:
    torch.manual_seed(0)  # it encodes the frames without the generator
    return run_frames(pipe, guided, conditioning_frames=frames(1), controlnet_frame_indices=[0])


def run_on_video(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    half = {"video": frames(), "num_inference_steps": VIDEO2VIDEO_STEPS, "strength": 0.5}
    return run(pipe, guided, **half | changes)


def run_controlled_on_video(pipe: Any, guided: bool) -> torch.Tensor:
    return run_on_video(pipe, guided, conditioning_frames=frames())


def run_xl(pipe: Any, guided: bool) -> torch.Tensor:
    return run_frames(pipe, guided, **embeddings_xl())


def run_pia(pipe: Any, guided: bool) -> torch.Tensor:
    return run_frames(pipe, guided, image=pil_picture())


def run_many_frames(pipe: Any, guided: bool) -> torch.Tensor:
    return run_frames(pipe, guided, num_frames=MANY_FRAMES, prompt=PROMPT)


def run_perturbed(pipe: Any, guided: bool) -> torch.Tensor:
    return run_frames(pipe, guided, pag_scale=3.0)


CASES = [
    Case("AnimateDiffPipeline", "video", lambda: build(diffusers.AnimateDiffPipeline), run_frames),
    Case("AnimateDiffPipeline (FreeNoise)", "video", free_noise, run_many_frames),
    Case("AnimateDiffPipeline (FreeInit)", "video", free_init, run_frames),
    Case(
        "AnimateDiffControlNetPipeline",
        "video",
        lambda: controlled(diffusers.AnimateDiffControlNetPipeline),
        run_controlled,
    ),
    Case("AnimateDiffSparseControlNetPipeline", "video", sparsely_controlled, run_sparsely_controlled),
    Case(
        "AnimateDiffVideoToVideoPipeline",
        "video",
        lambda: build(diffusers.AnimateDiffVideoToVideoPipeline),
        run_on_video,
    ),
    Case(
        "AnimateDiffVideoToVideoControlNetPipeline",
        "video",
        lambda: controlled(diffusers.AnimateDiffVideoToVideoControlNetPipeline),
        run_controlled_on_video,
    ),
    Case("AnimateDiffPAGPipeline", "video", lambda: build(diffusers.AnimateDiffPAGPipeline), run_perturbed),
    Case("AnimateDiffSDXLPipeline", "video", xl, run_xl),
    Case("PIAPipeline", "video", pia, run_pia),
]
