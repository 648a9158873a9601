"""Deprecated variants of Stable Diffusion that call its U-Net in ways of their own."""

from typing import Any

from diffusers import (
    AltDiffusionImg2ImgPipeline,
    AltDiffusionPipeline,
    CycleDiffusionPipeline,
    DDIMInverseScheduler,
    DDIMParallelScheduler,
    SemanticStableDiffusionPipeline,
    StableDiffusionDiffEditPipeline,
    StableDiffusionInpaintPipelineLegacy,
    StableDiffusionLDM3DPipeline,
    StableDiffusionModelEditingPipeline,
    StableDiffusionPanoramaPipeline,
    StableDiffusionParadigmsPipeline,
    StableDiffusionPipelineSafe,
)

from tests.zoo import parts
from tests.zoo.case import STEPS, Case

STRENGTH = 0.9  # of six steps, five are run


# A wide picture in tiles


def panorama() -> Any:
    """With the VAE's real factor of 8: the tiles are of 64 in its latent. Attention is at half its size."""
    vae = parts.vae(
        block_out_channels=(4,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )
    unet = parts.unet(
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    return parts.stable_diffusion(StableDiffusionPanoramaPipeline, vae=vae, unet=unet)


def sample_panorama(pipe: Any, guided: bool, **changes: Any) -> Any:
    """Two tiles, one beside the other: a call and a scheduler step each."""
    return parts.run(pipe, guided, **{"height": 8 * 8, "width": 8 * 72} | changes)


# An edit where two prompts differ


def diff_edit() -> Any:
    return parts.stable_diffusion(
        StableDiffusionDiffEditPipeline,
        inverse_scheduler=DDIMInverseScheduler.from_config(parts.ddim().config),
    )


def sample_diff_edit(pipe: Any, guided: bool) -> Any:
    """One call for the mask, a loop with the inverse scheduler, and the sampling."""
    source, target = parts.embeddings(seed=7), parts.embeddings(seed=8)
    mask = pipe.generate_mask(
        image=parts.picture(),
        source_prompt_embeds=source["prompt_embeds"],
        source_negative_prompt_embeds=source["negative_prompt_embeds"],
        target_prompt_embeds=target["prompt_embeds"],
        target_negative_prompt_embeds=target["negative_prompt_embeds"],
        num_maps_per_mask=2,
        num_inference_steps=STEPS,
        guidance_scale=5.0,  # without guidance this call fails in diffusers itself
        generator=parts.generator(),
    )
    latents = pipe.invert(
        image=parts.picture(),
        num_inference_steps=STEPS,
        inpaint_strength=STRENGTH,
        guidance_scale=5.0 if guided else 1.0,
        generator=parts.generator(),
        **source,
    ).latents
    return parts.run(
        pipe, guided, mask_image=mask, image_latents=latents, inpaint_strength=STRENGTH, **target
    )


# Further lots in the batch


def semantic_guidance(guided: bool) -> dict[str, Any]:
    if not guided:
        return {}
    return {
        "editing_prompt": ["a bird", "a fish"],
        "reverse_editing_direction": [False, True],
        "edit_warmup_steps": [1, 2],
        "edit_guidance_scale": 4.0,
        "edit_threshold": 0.9,
    }


def sample_cycle(pipe: Any, guided: bool) -> Any:
    """The source's and the edited latent together; the noise of the one goes to the other."""
    return parts.run(
        pipe,
        guided,
        prompt="a dog",
        source_prompt="a cat",
        image=parts.picture(),
        strength=STRENGTH,
        eta=0.1,
        source_guidance_scale=2.0,
    )


# Others


def ldm3d() -> Any:
    """Colour and depth from one latent."""
    return parts.stable_diffusion(
        StableDiffusionLDM3DPipeline, vae=parts.vae(in_channels=6, out_channels=6), image_encoder=None
    )


def sample_ldm3d(pipe: Any, guided: bool) -> Any:
    call = parts.embeddings() | {"num_inference_steps": STEPS, "guidance_scale": 5.0 if guided else 1.0}
    return pipe(**call, generator=parts.generator(), output_type="np").rgb


def model_editing() -> Any:
    return parts.stable_diffusion(StableDiffusionModelEditingPipeline, with_augs=[], **parts.prompted())


def sample_model_editing(pipe: Any, guided: bool) -> Any:
    return parts.run(pipe, guided, prompt=parts.PROMPT)


def paradigms() -> Any:
    scheduler = DDIMParallelScheduler.from_config(parts.ddim().config)
    return parts.stable_diffusion(StableDiffusionParadigmsPipeline, scheduler=scheduler)


# Left out: the Onnx pipelines have no torch model for a denoiser, and where onnxruntime is not installed
# diffusers has placeholders in their place, which cannot be built.

CASES = [
    Case(
        "AltDiffusionPipeline",
        "image",
        lambda: parts.stable_diffusion(AltDiffusionPipeline),
        parts.run,
    ),
    Case(
        "AltDiffusionImg2ImgPipeline",
        "image",
        lambda: parts.stable_diffusion(AltDiffusionImg2ImgPipeline),
        lambda pipe, guided: parts.run(pipe, guided, image=parts.picture(), strength=STRENGTH),
    ),
    Case(
        "CycleDiffusionPipeline",
        "image",
        lambda: parts.stable_diffusion(CycleDiffusionPipeline, **parts.prompted()),
        sample_cycle,
    ),
    Case("StableDiffusionDiffEditPipeline", "image", diff_edit, sample_diff_edit),
    Case(
        "StableDiffusionInpaintPipelineLegacy",
        "inpainting",
        lambda: parts.stable_diffusion(StableDiffusionInpaintPipelineLegacy),
        lambda pipe, guided: parts.run(
            pipe, guided, image=parts.picture(), mask_image=parts.mask(), strength=STRENGTH
        ),
    ),
    Case("StableDiffusionLDM3DPipeline", "image", ldm3d, sample_ldm3d),
    Case("StableDiffusionModelEditingPipeline", "image", model_editing, sample_model_editing),
    Case("StableDiffusionPanoramaPipeline", "image", panorama, sample_panorama),
    Case(
        "StableDiffusionPanoramaPipeline (batch of two)",
        "image",
        panorama,
        lambda pipe, guided: sample_panorama(pipe, guided, view_batch_size=2),
    ),
    Case(
        "StableDiffusionParadigmsPipeline",
        "image",
        paradigms,
        parts.run,
        refused="many steps in one call of its denoiser",
    ),
    Case(
        "StableDiffusionPipelineSafe",
        "image",
        lambda: parts.stable_diffusion(StableDiffusionPipelineSafe, **parts.prompted()),
        lambda pipe, guided: parts.run(pipe, guided, prompt=parts.PROMPT, sld_warmup_steps=2),
    ),
    Case(
        "SemanticStableDiffusionPipeline",
        "image",
        lambda: parts.stable_diffusion(SemanticStableDiffusionPipeline, **parts.prompted()),
        lambda pipe, guided: parts.run(pipe, guided, prompt=parts.PROMPT, **semantic_guidance(guided)),
    ),
]
