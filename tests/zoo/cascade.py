"""Stable Cascade and Würstchen: a prior makes image embeddings, a decoder makes pictures of them."""

from typing import Any

import torch
from diffusers import (
    DDPMWuerstchenScheduler,
    StableCascadeCombinedPipeline,
    StableCascadeDecoderPipeline,
    StableCascadePriorPipeline,
    StableCascadeUNet,
    WuerstchenCombinedPipeline,
    WuerstchenDecoderPipeline,
    WuerstchenPriorPipeline,
)
from diffusers.pipelines.deprecated.wuerstchen import PaellaVQModel, WuerstchenDiffNeXt, WuerstchenPrior

from tests.zoo import parts
from tests.zoo.case import STEPS, Case
from tests.zoo.random_weights import lively

EMBEDDING = (1, 4, 4, 4)  # of an image, as the priors make it


def cascade_prior() -> StableCascadeUNet:
    """Two levels of the same resolution, one branch."""
    layers = ("SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock")
    return lively(
        0,
        lambda: StableCascadeUNet(
            in_channels=4,
            out_channels=4,
            timestep_ratio_embedding_dim=8,
            conditioning_dim=parts.EMBEDDING,
            block_out_channels=(8, 8),
            num_attention_heads=(2, 2),
            down_num_layers_per_block=(1, 2),
            up_num_layers_per_block=(2, 1),
            block_types_per_layer=(layers, layers),
            clip_text_in_channels=parts.EMBEDDING,
            clip_text_pooled_in_channels=parts.POOLED,
            clip_image_in_channels=parts.POOLED,
            clip_seq=1,
            switch_level=(False,),
        ),
    )


def cascade_decoder() -> StableCascadeUNet:
    """Three levels, two branches; layers that are run more than once, as in the trained decoder."""
    plain = ("SDCascadeResBlock", "SDCascadeTimestepBlock")
    attending = (*plain, "SDCascadeAttnBlock")
    return lively(
        0,
        lambda: StableCascadeUNet(
            in_channels=4,
            out_channels=4,
            timestep_ratio_embedding_dim=8,
            patch_size=2,
            conditioning_dim=parts.EMBEDDING,
            block_out_channels=(8, 8, 16),
            num_attention_heads=(-1, 2, 2),
            down_num_layers_per_block=(1, 1, 2),
            up_num_layers_per_block=(2, 1, 1),
            down_blocks_repeat_mappers=(1, 1, 1),
            up_blocks_repeat_mappers=(2, 2, 1),
            block_types_per_layer=(plain, attending, attending),
            clip_text_pooled_in_channels=parts.POOLED,
            clip_seq=1,
            effnet_in_channels=4,
            pixel_mapper_in_channels=3,
            dropout=(0.0, 0.0, 0.1),
            timestep_conditioning_type=("sca",),
        ),
    )


def wuerstchen_prior() -> WuerstchenPrior:
    """Five layers, two branches."""
    return lively(0, lambda: WuerstchenPrior(c_in=4, c=8, c_cond=parts.EMBEDDING, c_r=8, depth=5, nhead=2))


def wuerstchen_decoder() -> WuerstchenDiffNeXt:
    """Three levels, two branches."""
    return lively(
        0,
        lambda: WuerstchenDiffNeXt(
            c_r=8,
            c_cond=8,
            c_hidden=[8, 8, 16],
            nhead=[-1, 2, 2],
            blocks=[1, 1, 2],
            level_config=["CT", "CTA", "CTA"],
            inject_effnet=[False, True, True],
            effnet_embd=4,
            clip_embd=parts.EMBEDDING,
        ),
    )


def vqgan() -> PaellaVQModel:
    """Pictures (3, 4h, 4w) to latents (4, h, w)."""
    return parts.seeded(1, lambda: PaellaVQModel(bottleneck_blocks=1, embed_dim=8, num_vq_embeddings=4))


def projecting() -> dict[str, Any]:
    """The text encoder and tokenizer of Stable Cascade."""
    return {"text_encoder": parts.text_encoder_with_projection(), "tokenizer": parts.tokenizer()}


def prefixed(components: dict[str, Any]) -> dict[str, Any]:
    """The parts of a prior, as a combined pipeline names them."""
    return {f"prior_{name}": part for name, part in components.items()}


def cascade_prior_parts() -> dict[str, Any]:
    return {"prior": cascade_prior(), "scheduler": DDPMWuerstchenScheduler(), **projecting()}


def cascade_decoder_parts() -> dict[str, Any]:
    return {
        "decoder": cascade_decoder(),
        "vqgan": vqgan(),
        "scheduler": DDPMWuerstchenScheduler(),
        **projecting(),
    }


def wuerstchen_prior_parts() -> dict[str, Any]:
    return {"prior": wuerstchen_prior(), "scheduler": DDPMWuerstchenScheduler(), **parts.prompted()}


def wuerstchen_decoder_parts() -> dict[str, Any]:
    return {
        "decoder": wuerstchen_decoder(),
        "vqgan": vqgan(),
        "scheduler": DDPMWuerstchenScheduler(),
        **parts.prompted(),
    }


def make_cascade_prior() -> StableCascadePriorPipeline:
    return parts.quiet(
        StableCascadePriorPipeline(
            **cascade_prior_parts(), feature_extractor=None, image_encoder=None, resolution_multiple=4
        )
    )


def make_cascade_decoder() -> StableCascadeDecoderPipeline:
    return parts.quiet(StableCascadeDecoderPipeline(**cascade_decoder_parts(), latent_dim_scale=2.0))


def make_cascade() -> StableCascadeCombinedPipeline:
    prior = prefixed(cascade_prior_parts())
    return quiet_combined(StableCascadeCombinedPipeline(**cascade_decoder_parts(), **prior))


def make_wuerstchen_prior() -> WuerstchenPriorPipeline:
    return parts.quiet(WuerstchenPriorPipeline(**wuerstchen_prior_parts(), resolution_multiple=4))


def make_wuerstchen_decoder() -> WuerstchenDecoderPipeline:
    return parts.quiet(WuerstchenDecoderPipeline(**wuerstchen_decoder_parts(), latent_dim_scale=2.0))


def make_wuerstchen() -> WuerstchenCombinedPipeline:
    prior = prefixed(wuerstchen_prior_parts())
    return quiet_combined(WuerstchenCombinedPipeline(**wuerstchen_decoder_parts(), **prior))


def quiet_combined(pipe: Any) -> Any:
    for part in (pipe.prior_pipe, pipe.decoder_pipe):
        parts.quiet(part)
    return parts.quiet(pipe)


def sample_prior(pipe: Any, guided: bool) -> torch.Tensor:
    """Image embeddings (1, 4, 4, 4)."""
    return pipe(
        parts.PROMPT,
        height=16,
        width=16,
        num_inference_steps=STEPS,
        guidance_scale=4.0 if guided else 0.0,
        generator=parts.generator(),
        output_type="pt",
    ).image_embeddings


def sample_decoder(pipe: Any, guided: bool) -> torch.Tensor:
    """Latents (1, 4, 8, 8)."""
    return pipe(
        torch.randn(EMBEDDING, generator=parts.generator(4)),
        parts.PROMPT,
        num_inference_steps=STEPS,
        guidance_scale=1.5 if guided else 0.0,
        generator=parts.generator(),
        output_type="latent",
    ).images


def sample_combined(pipe: Any, guided: bool) -> torch.Tensor:
    """Latents (1, 4, 32, 32) of embeddings of 3x3: the smallest with an even number of rows."""
    return pipe(
        parts.PROMPT,
        height=128,
        width=128,
        prior_num_inference_steps=STEPS,
        num_inference_steps=STEPS,
        prior_guidance_scale=4.0 if guided else 0.0,
        decoder_guidance_scale=1.5 if guided else 0.0,
        generator=parts.generator(),
        output_type="latent",
    ).images


CASES = [
    Case("StableCascadePriorPipeline", "image", make_cascade_prior, sample_prior),
    Case("StableCascadeDecoderPipeline", "image", make_cascade_decoder, sample_decoder),
    Case("StableCascadeCombinedPipeline", "image", make_cascade, sample_combined),
    Case("WuerstchenPriorPipeline", "image", make_wuerstchen_prior, sample_prior),
    Case("WuerstchenDecoderPipeline", "image", make_wuerstchen_decoder, sample_decoder),
    Case("WuerstchenCombinedPipeline", "image", make_wuerstchen, sample_combined),
]
