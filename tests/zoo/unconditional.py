"""Pipelines without a prompt: DDPM and its kin, on pictures or on latents of a VQ-VAE."""

from typing import Any

import diffusers
from diffusers import (
    CMStochasticIterativeScheduler,
    DDIMScheduler,
    DDPMScheduler,
    KarrasVeScheduler,
    PNDMScheduler,
    RePaintScheduler,
    ScoreSdeVeScheduler,
    UNet2DModel,
    VQModel,
)

from tests.zoo.case import STEPS, Case
from tests.zoo.parts import LATENT, generator, mask, picture, quiet, seeded

TWO_LEVELS = {
    "sample_size": LATENT,
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attention_head_dim": 4,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}


def unet(**changes: Any) -> UNet2DModel:
    """Two levels, four skip connections."""
    return seeded(0, lambda: UNet2DModel(**TWO_LEVELS | changes))


def vqvae() -> VQModel:
    """Pictures (3, 2h, 2w) to latents (3, h, w)."""
    shape = {
        "block_out_channels": (4, 4),
        "norm_num_groups": 2,
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "latent_channels": 3,
        "num_vq_embeddings": 8,
    }
    return seeded(1, lambda: VQModel(**shape))


def ddpm() -> Any:
    return quiet(diffusers.DDPMPipeline(unet(), DDPMScheduler()))


def ddim() -> Any:
    return quiet(diffusers.DDIMPipeline(unet(), DDIMScheduler()))


def pndm() -> Any:
    return quiet(diffusers.PNDMPipeline(unet(), PNDMScheduler()))


def consistency() -> Any:
    model = unet(num_class_embeds=3, resnet_time_scale_shift="scale_shift")
    return quiet(diffusers.ConsistencyModelPipeline(model, CMStochasticIterativeScheduler()))


def latent_diffusion() -> Any:
    return quiet(diffusers.LDMPipeline(vqvae(), unet(), DDIMScheduler()))


def super_resolution() -> Any:
    """The picture to be enlarged stands beside the latent: six channels."""
    return quiet(diffusers.LDMSuperResolutionPipeline(vqvae(), unet(in_channels=6), DDIMScheduler()))


def repaint() -> Any:
    return quiet(diffusers.RePaintPipeline(unet(), RePaintScheduler()))


def score_sde() -> Any:
    """NCSN++: a second stream of pictures beside the hidden state."""
    model = unet(
        block_out_channels=(32, 32),  # its norms have 32 groups
        time_embedding_type="fourier",
        down_block_types=("SkipDownBlock2D", "AttnSkipDownBlock2D"),
        up_block_types=("AttnSkipUpBlock2D", "SkipUpBlock2D"),
    )
    return quiet(diffusers.ScoreSdeVePipeline(model, ScoreSdeVeScheduler(sigma_max=2.0)))


def karras() -> Any:
    return quiet(diffusers.KarrasVePipeline(unet(), KarrasVeScheduler(sigma_max=2.0)))


def run(pipe: Any, guided: bool, **changes: Any) -> Any:
    """The picture (1, h, w, 3) of a call with `STEPS` steps."""
    call = {"num_inference_steps": STEPS, "output_type": "np", "generator": generator()}
    return pipe(**call | changes).images


def run_consistency(pipe: Any, guided: bool) -> Any:
    return run(pipe, guided, class_labels=1)


def run_super_resolution(pipe: Any, guided: bool) -> Any:
    return run(pipe, guided, image=picture(LATENT))


def run_repaint(pipe: Any, guided: bool) -> Any:
    """It goes back by two steps, and forth again, once on its way."""
    call = {"image": picture(LATENT), "mask_image": mask(LATENT), "jump_length": 2, "jump_n_sample": 2}
    return run(pipe, guided, **call)


CASES = [
    Case("DDPMPipeline", "image", ddpm, run, guidance=False),
    Case("DDIMPipeline", "image", ddim, run, guidance=False),
    Case("PNDMPipeline", "image", pndm, run, guidance=False),
    Case("ConsistencyModelPipeline", "image", consistency, run_consistency, guidance=False),
    Case(
        "ConsistencyModelPipeline (default plan)",
        "image",
        consistency,
        run_consistency,
        refused="samples in one step unless told otherwise",
        guidance=False,
    ),
    Case("LDMPipeline", "image", latent_diffusion, run, guidance=False),
    Case("LDMSuperResolutionPipeline", "image", super_resolution, run_super_resolution, guidance=False),
    Case("RePaintPipeline", "inpainting", repaint, run_repaint, guidance=False),
    Case("ScoreSdeVePipeline", "image", score_sde, run, guidance=False),
    Case("KarrasVePipeline", "image", karras, run, guidance=False),
]
