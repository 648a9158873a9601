"""A tiny random pipeline that takes a prompt in words, as a person at the command line gives it."""

import torch
from diffusers import StableDiffusionPipeline
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from tests import tiny

TOKENS = 12


def tokenizer() -> CLIPTokenizer:
    """Every byte is a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, *(letter + "</w>" for letter in alphabet), "<|startoftext|>", "<|endoftext|>"]
    vocab = {word: index for index, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocab, merges=[], model_max_length=TOKENS)


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


def prompted() -> StableDiffusionPipeline:
    """Stable Diffusion with two levels; pictures of 32x32 from latents of 16x16."""
    pipe = tiny.stable_diffusion(
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    words = tokenizer()
    pipe.register_modules(tokenizer=words, text_encoder=text_encoder(words))
    return pipe
