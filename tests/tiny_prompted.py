"""Tiny random pipelines that take a prompt in words, as at the command line: one for each task."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from diffusers import (
    AnimateDiffPipeline,
    ControlNetModel,
    MotionAdapter,
    StableDiffusionControlNetPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
)
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from tests import tiny

TOKENS = 12

SMALL = {
    "sample_size": 8,
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}


def tokenizer() -> CLIPTokenizer:
    """Every byte is a token. From files, as every version of transformers reads them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, *(letter + "</w>" for letter in alphabet), "<|startoftext|>", "<|endoftext|>"]
    vocab = {word: index for index, word in enumerate(words)}
    with TemporaryDirectory() as folder:
        Path(folder, "vocab.json").write_text(json.dumps(vocab))
        Path(folder, "merges.txt").write_text("#version: 0.2\n")
        return CLIPTokenizer.from_pretrained(folder, model_max_length=TOKENS)


def text_encoder(words: CLIPTokenizer) -> CLIPTextModel:
    """Token ids (N, 12) to embeddings (N, 12, 16)."""
    torch.manual_seed(2)
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
    )
    return CLIPTextModel(config).eval()


def with_words(pipe: Any) -> Any:
    words = tokenizer()
    pipe.register_modules(tokenizer=words, text_encoder=text_encoder(words))
    return pipe


def prompted() -> StableDiffusionPipeline:
    """Stable Diffusion with two levels; pictures of 16x16 from latents of 8x8."""
    return with_words(tiny.stable_diffusion(**SMALL))


def inpainting() -> StableDiffusionInpaintPipeline:
    """`prompted` for inpainting: its U-Net sees mask and masked picture too."""
    return with_words(tiny.stable_diffusion(StableDiffusionInpaintPipeline, in_channels=9, **SMALL))


def controlnet() -> ControlNetModel:
    """For the U-Net of `prompted`."""
    torch.manual_seed(3)
    return ControlNetModel.from_unet(tiny.unet(**SMALL), conditioning_embedding_out_channels=(8, 8)).eval()


def controlled() -> StableDiffusionControlNetPipeline:
    """`prompted` with a ControlNet."""
    parts = prompted().components
    pipe = StableDiffusionControlNetPipeline(**parts, controlnet=controlnet(), requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def motion_adapter() -> MotionAdapter:
    """For the U-Net of `prompted`; eight frames at most."""
    torch.manual_seed(4)
    return MotionAdapter(
        block_out_channels=(16, 32),
        motion_layers_per_block=1,
        motion_norm_num_groups=8,
        motion_num_attention_heads=2,
        motion_max_seq_length=8,
        use_motion_mid_block=False,
    ).eval()


def moving() -> AnimateDiffPipeline:
    """`prompted` with motion: clips of 16x16."""
    parts = prompted().components
    names = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
    pipe = AnimateDiffPipeline(**{name: parts[name] for name in names}, motion_adapter=motion_adapter())
    pipe.set_progress_bar_config(disable=True)
    return pipe
