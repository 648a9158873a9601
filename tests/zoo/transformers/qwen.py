"""Qwen-Image: blocks of two streams; guidance is a second call with the negative prompt."""

from types import SimpleNamespace
from typing import Any

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    QwenImage21Transformer2DModel,
    QwenImageControlNetModel,
    QwenImageMultiControlNetModel,
    QwenImageTransformer2DModel,
)

from tests.zoo import parts
from tests.zoo.case import STEPS
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import (
    STRENGTH,
    case,
    control,
    drawing,
    flow,
    masked,
    on_picture,
    prompts,
    reducing,
    run,
)

LATENT = 8  # channels; four would be those of a picture with alpha
PATCHED = 4 * LATENT  # channels of a patch: 2x2 pixels of a latent
SHAPE = {
    "in_channels": PATCHED,
    "out_channels": LATENT,
    "num_layers": 6,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": EMBEDDING,
    "axes_dims_rope": (2, 2, 4),
}
OF_LAYERS = {"use_additional_t_cond": True, "use_layer3d_rope": True}
OF_INPAINTING = {"extra_condition_channels": 4}  # a mask's patch
LAYERS_OF_CONTROLNET = 2
EDITED = 512  # pixels of an edited picture; what it is edited from is scaled to a megapixel
REDUCTION = 64  # of the VAE for edited pictures


def transformer(**changes: Any) -> QwenImageTransformer2DModel:
    return lively(0, lambda: QwenImageTransformer2DModel(**SHAPE | changes))


def controlnet(seed: int = 2, **changes: Any) -> QwenImageControlNetModel:
    shape = SHAPE | {"num_layers": LAYERS_OF_CONTROLNET} | changes
    return lively(seed, lambda: QwenImageControlNetModel(**shape))


def vae(pictures: int = 3) -> AutoencoderKLQwenImage:
    """Pictures (`pictures`, 1, 2h, 2w) to latents (LATENT, 1, h, w)."""
    shape = {
        "base_dim": 4,
        "z_dim": LATENT,
        "dim_mult": [1, 1],
        "num_res_blocks": 1,
        "temperal_downsample": [False],
        "input_channels": pictures,
        "latents_mean": [0.1, -0.1] * (LATENT // 2),
        "latents_std": [1.0, 1.1] * (LATENT // 2),
    }
    return parts.seeded(1, lambda: AutoencoderKLQwenImage(**shape))


def reducing_vae(pictures: int = 3) -> AutoencoderKLQwenImage:
    """Latents `REDUCTION` times smaller than pictures, as the pipelines take from `temperal_downsample`."""
    model = reducing(vae(pictures), REDUCTION // 2)
    model.temperal_downsample = [False] * (REDUCTION.bit_length() - 1)
    return model


def build(cls: Any, shape: dict[str, Any] | None = None, **more: Any) -> Any:
    of_all = {
        "scheduler": flow(),
        "vae": vae(),
        "text_encoder": None,
        "tokenizer": None,
        "transformer": transformer(**shape or {}),
    }
    return parts.quiet(cls(**of_all | more))


def build_edit(cls: Any, shape: dict[str, Any] | None = None) -> Any:
    return build(cls, shape, vae=reducing_vae(), processor=None)


def build_layered(cls: Any) -> Any:
    """Only the type of the text encoder's numbers is asked for."""
    encoder = parts.text_encoder()
    return build(cls, OF_LAYERS, vae=reducing_vae(4), processor=None, text_encoder=encoder)


def with_controlnet(cls: Any) -> Any:
    return build(cls, controlnet=controlnet())


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    return run(pipe, guided, scale="true_cfg_scale", **prompts(mask="embeds_mask") | changes)


def sample_layered(pipe: Any, guided: bool) -> Any:
    """Two layers of one picture; their size is the picture's, scaled."""
    call = {
        "prompt": parts.PROMPT,
        "image": parts.pil_picture().convert("RGBA"),
        "layers": 2,
        "num_inference_steps": STEPS,
        "true_cfg_scale": 5.0 if guided else 1.0,
        "generator": parts.generator(),
        "output_type": "pt",  # latents are not handed out
    }
    return torch.stack(pipe(**call | prompts(mask="embeds_mask")).images)


def controls() -> dict[str, Any]:
    pictures = [parts.picture(seed=6), parts.picture(seed=9)]
    return {"control_image": pictures, "controlnet_conditioning_scale": [1.0, 0.5]}


def edited() -> dict[str, Any]:
    return {"image": parts.pil_picture(), "height": EDITED, "width": EDITED}


def edited_two() -> dict[str, Any]:
    return edited() | {"image": [parts.pil_picture(), parts.pil_picture(seed=6)]}


def edited_masked() -> dict[str, Any]:
    return {"image": parts.pil_picture(), "mask_image": parts.mask(1024), "strength": STRENGTH}


# Qwen-Image 2.1

SHAPE_21 = {
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 6,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "context_in_dim": EMBEDDING,
    "axes_dims_rope": (2, 2, 4),
}


class Processor:
    """Knows how long the system's message is, and the number of the token for a picture."""

    tokenizer = SimpleNamespace(encode=lambda text: [9])

    def apply_chat_template(self, message: Any, **settings: Any) -> list[list[int]]:
        return [[1, 2, 3]]


def build_21(cls: Any) -> Any:
    return parts.quiet(
        cls(
            scheduler=flow(),
            vae=None,
            text_encoder=None,
            processor=Processor(),
            transformer=lively(0, lambda: QwenImage21Transformer2DModel(**SHAPE_21)),
        )
    )


def sample_21(pipe: Any, guided: bool, **changes: Any) -> Any:
    return sample(pipe, guided, height=128, width=128, **changes)


CASES = [
    case("QwenImagePipeline", "image", build, sample),
    case("QwenImageImg2ImgPipeline", "image", build, sample, on_picture),
    case("QwenImageInpaintPipeline", "inpainting", build, sample, masked),
    case("QwenImageEditPipeline", "image", build_edit, sample, edited),
    case("QwenImageEditPlusPipeline", "image", build_edit, sample, edited_two),
    case(
        "QwenImageEditPlusPipeline (references unnoised)",
        "image",
        lambda cls: build_edit(cls, {"zero_cond_t": True}),
        sample,
        edited_two,
    ),
    case("QwenImageEditInpaintPipeline", "inpainting", build_edit, sample, edited_masked),
    case("QwenImageLayeredPipeline", "image", build_layered, sample_layered),
    case("QwenImageControlNetPipeline", "controlnet", with_controlnet, sample, control),
    case(
        "QwenImageControlNetPipeline (two pictures)",
        "controlnet",
        lambda cls: build(cls, controlnet=QwenImageMultiControlNetModel([controlnet()])),
        sample,
        controls,
    ),
    case(
        "QwenImageControlNetPipeline (guidance end 0.5)",
        "controlnet",
        with_controlnet,
        sample,
        lambda: control() | {"control_guidance_end": 0.5},
    ),
    case(
        "QwenImageControlNetInpaintPipeline",
        "controlnet",
        lambda cls: build(cls, controlnet=controlnet(**OF_INPAINTING)),
        drawing(sample),
        lambda: control() | {"control_mask": parts.mask()},
    ),
    case("QwenImage21Pipeline", "image", build_21, sample_21),
    case("QwenImage21Pipeline (no keys kept)", "image", build_21, sample_21, lambda: {"use_kv_cache": False}),
]
