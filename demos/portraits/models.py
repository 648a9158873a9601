"""The parts of the miniature, of exactly Stable Diffusion's kinds, and the pipeline made of them."""

import copy
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from mmcache_demos.portraits.attributes import SIZE

LATENT_SIZE = SIZE // 8
LATENT_CHANNELS = 4
TEXT_LENGTH = 40  # tokens, with the two that mark start and end
TEXT_WIDTH = 128


def autoencoder() -> AutoencoderKL:
    """Images (N, 3, 128, 128) to latents (N, 4, 16, 16) and back; cheap where there are many pixels."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(24, 48, 96, 128),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=SIZE,
    )


def unet() -> UNet2DConditionModel:
    """The denoiser of latents (N, 4, 16, 16); nine skip connections."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(48, 96, 160),
        layers_per_block=2,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,  # as in Stable Diffusion v1.5, diffusers reads this as the number of heads
        norm_num_groups=16,
    )


def tokenizer(captions: Iterable[str]) -> CLIPTokenizer:
    """A CLIP tokenizer whose merges are learned from the captions.

    Every byte is a token too, as in CLIP's own vocabulary, so any text can be tokenized.
    """
    clip = CLIPTokenizer().backend_tokenizer
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer, learner.pre_tokenizer = clip.normalizer, clip.pre_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner.train_from_iterator(
        captions, trainers.BpeTrainer(vocab_size=2000, initial_alphabet=alphabet, end_of_word_suffix="</w>")
    )
    merges = [tuple(merge) for merge in json.loads(learner.to_str())["model"]["merges"]]
    words = [*alphabet, *(letter + "</w>" for letter in alphabet), *("".join(merge) for merge in merges)]
    words = list(dict.fromkeys([*words, "<|startoftext|>", "<|endoftext|>"]))
    return CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)},
        merges=merges,  # type: ignore[arg-type]  # pairs, as the library behind it takes them
        model_max_length=TEXT_LENGTH,
    )


def tokenize(tokens: CLIPTokenizer, texts: Sequence[str]) -> torch.Tensor:
    """Texts to token ids (N, 40), as the pipeline tokenizes its prompts."""
    ids = tokens(list(texts), padding="max_length", truncation=True, return_tensors="pt").input_ids
    return ids.reshape(len(texts), -1)


def text_encoder(tokens: CLIPTokenizer) -> CLIPTextModel:
    """Token ids (N, 40) to embeddings (N, 40, 128)."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokens),
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TEXT_LENGTH,
            bos_token_id=tokens.bos_token_id,
            eos_token_id=tokens.eos_token_id,
            pad_token_id=tokens.pad_token_id,
        )
    )


def noise_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise, predicted as velocity (Salimans and Ho, arXiv 2202.00512)."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        clip_sample=False,
        set_alpha_to_one=False,
        prediction_type="v_prediction",
    )


def save_pipeline(
    folder: Path,
    vae: AutoencoderKL,
    denoiser: UNet2DConditionModel,
    text: CLIPTextModel,
    tokens: CLIPTokenizer,
) -> None:
    """Writes the folder, fp16 safetensors, that `StableDiffusionPipeline.from_pretrained` loads."""
    scheduler: Any = noise_scheduler()  # the stubs name a list of samplers, and want all parts
    left_out: dict[str, Any] = {"safety_checker": None, "feature_extractor": None}
    pipeline = StableDiffusionPipeline(
        vae=copy.deepcopy(vae).half(),
        text_encoder=copy.deepcopy(text).half(),
        tokenizer=tokens,
        unet=copy.deepcopy(denoiser).half(),
        scheduler=scheduler,
        **left_out,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    # transformers 5 reads the tokenizer from one file, version 4 from these two.
    tokens.backend_tokenizer.model.save(str(folder / "tokenizer"))
    suit_every_transformers(folder / "text_encoder")


def suit_every_transformers(text_encoder: Path) -> None:
    """Rewrites a text encoder that transformers 5 saved: versions 4 and 5 load the same one, as float32.

    Version 5 saves a CLIP's weights without `text_model.` before their names, and reads both forms.
    Version 4 reads only the longer names, and keeps random weights where it finds none.
    Version 5 keeps weights in fp16 unless the config says otherwise; the denoiser beside them is float32.

    Args:
        text_encoder: its folder.
    """
    file, config = text_encoder / "model.safetensors", text_encoder / "config.json"
    settings = json.loads(config.read_text())
    settings["dtype"] = "float32"
    config.write_text(json.dumps(settings, indent=2) + "\n")
    if settings["architectures"] == ["CLIPTextModel"]:
        prefix = "text_model."
        weights = {prefix + name.removeprefix(prefix): weight for name, weight in load_file(file).items()}
        save_file(weights, file, metadata={"format": "pt"})
