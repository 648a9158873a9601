"""The parts of the text-to-video miniature that are its own, and the pipeline that they are parts of."""

import copy
from pathlib import Path

import torch
from diffusers import AnimateDiffPipeline, MotionAdapter, UNet2DConditionModel, UNetMotionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import nn
from transformers import CLIPTextModel

from mmcache_demos import miniature
from mmcache_demos.portraits.models import suit_every_transformers
from mmcache_demos.portraits.motion.motions import FRAMES

LONGEST = 16  # frames that the motion modules have a place for
HEADS = 4
LEAST_SIZE = 1.5  # singular value from which on a direction counts as one in which places differ


def motion_adapter() -> MotionAdapter:
    """Motion modules for `portraits.models.unet`, which change nothing yet.

    Their last projections are zero, as AnimateDiff starts them (Guo et al., arXiv 2307.04725, section 4.2).
    """
    adapter = MotionAdapter(
        block_out_channels=(48, 96, 160),
        motion_layers_per_block=2,
        motion_num_attention_heads=HEADS,
        motion_norm_num_groups=16,
        motion_max_seq_length=LONGEST,
        use_motion_mid_block=False,
    )
    for module in adapter.modules():
        if isinstance(module, AnimateDiffTransformer3D):
            nn.init.zeros_(module.proj_out.weight)
            nn.init.zeros_(module.proj_out.bias)
            for block in module.transformer_blocks:
                assert isinstance(block, BasicTransformerBlock)
                _tell_frames_apart(block)
    return adapter


@torch.no_grad()
def _tell_frames_apart(block: BasicTransformerBlock) -> None:
    """Lets half of the heads of the second attention see where in the clip each frame is.

    Only the inputs of attention hold the frame's place, and attention that starts at random takes the mean
    over all frames, in which places cancel. These heads start with the main directions in which the places
    of a clip differ: queries meet keys of frames nearby, and values hand on the place.
    """
    attention, width = block.attn2, block.attn2.to_q.in_features
    places = block.pos_embed.get_buffer("pe")[0, :FRAMES]
    _, sizes, axes = torch.linalg.svd(places - places.mean(dim=0), full_matrices=False)
    main = sizes >= LEAST_SIZE
    axes, count = axes[main] / sizes[main, None], int(main.sum())
    head = width // HEADS
    for start in range(0, width // 2, head):
        of_head = slice(start, start + head)
        for layer, scale in (
            (attention.to_q, 2 * head**0.25),
            (attention.to_k, 2 * head**0.25),
            (attention.to_v, 3.0),
        ):
            layer.weight[of_head] = 0.02 * torch.randn(head, width)
            layer.weight[start : start + count] += scale * axes
        out = attention.to_out[0].get_parameter("weight")
        out[:, of_head] = 0.02 * torch.randn(width, head)
        out[:, start : start + count] = 0.5 / count**0.5 * torch.randn(width, count)


def with_motion(unet: UNet2DConditionModel, adapter: MotionAdapter) -> UNetMotionModel:
    """A copy of the U-Net with motion modules."""
    moving = UNetMotionModel.from_unet2d(unet, adapter)
    moving.register_to_config(_name_or_path="")  # where the U-Net was loaded from on this machine
    return moving


def save_video_parts(folder: Path, unet: UNetMotionModel, text: CLIPTextModel) -> None:
    """Writes the two parts as fp16 safetensors."""
    copy.deepcopy(unet).half().save_pretrained(folder / "unet", safe_serialization=True)
    copy.deepcopy(text).half().save_pretrained(folder / "text_encoder", safe_serialization=True)
    suit_every_transformers(folder / "text_encoder")


def load_video_pipeline(folder: Path) -> AnimateDiffPipeline:
    """The text-to-image miniature with the parts of a folder."""
    return AnimateDiffPipeline.from_pretrained(
        miniature("text-to-image"),
        unet=UNetMotionModel.from_pretrained(folder, subfolder="unet"),
        text_encoder=CLIPTextModel.from_pretrained(folder, subfolder="text_encoder"),
        motion_adapter=None,
    )
