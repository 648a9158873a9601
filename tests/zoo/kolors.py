"""Kolors: SDXL's U-Net with ChatGLM as its text encoder.

diffusers exports these classes only where sentencepiece is installed, which just their tokenizer needs: so
they are imported from where they are defined, and another tokenizer stands in.
"""

from typing import Any

import torch
from diffusers.pipelines.kolors.pipeline_kolors import KolorsPipeline
from diffusers.pipelines.kolors.pipeline_kolors_img2img import KolorsImg2ImgPipeline
from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig, ChatGLMModel
from diffusers.pipelines.pag.pipeline_pag_kolors import KolorsPAGPipeline
from transformers import CLIPTokenizer

from tests import tiny_prompted
from tests.zoo.case import STEPS, Case
from tests.zoo.parts import EMBEDDING, PROMPT, euler, picture, quiet, run, seeded, unet_xl, vae

KOLORS_TOKENS = 256  # the pipelines' own number
IMG2IMG_STEPS = 2 * STEPS  # of which half are run


class Tokenizer(CLIPTokenizer):
    """Says where each token stands, as ChatGLM's does."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found = super().__call__(*args, **kwargs)
        found["position_ids"] = torch.arange(found["input_ids"].shape[1]).expand_as(found["input_ids"])
        return found


def tokenizer() -> Tokenizer:
    words = tiny_prompted.tokenizer()
    return Tokenizer(vocab=words.get_vocab(), merges=[], model_max_length=KOLORS_TOKENS)


def text_encoder() -> ChatGLMModel:
    config = ChatGLMConfig(
        num_layers=2,
        padded_vocab_size=len(tokenizer()),
        hidden_size=EMBEDDING,
        ffn_hidden_size=EMBEDDING,
        kv_channels=8,
        num_attention_heads=2,
        seq_length=KOLORS_TOKENS,
        add_qkv_bias=True,
        original_rope=True,
    )
    model = seeded(2, lambda: ChatGLMModel(config))
    for weight in model.parameters():  # made without values
        torch.nn.init.normal_(weight, mean=1.0 if weight.dim() == 1 else 0.0, std=0.1)
    return model


def build(cls: Any) -> Any:
    model = unet_xl(
        encoder_hid_dim=EMBEDDING,
        encoder_hid_dim_type="text_proj",
        projection_class_embeddings_input_dim=6 * 4 + EMBEDDING,
    )
    parts = {
        "vae": vae(),
        "text_encoder": text_encoder(),
        "tokenizer": tokenizer(),
        "unet": model,
        "scheduler": euler(),
    }
    return quiet(cls(**parts))


def run_prompted(pipe: Any, guided: bool, **changes: Any) -> Any:
    return run(pipe, guided, prompt=PROMPT, **changes)


def run_img2img(pipe: Any, guided: bool) -> Any:
    return run_prompted(pipe, guided, image=picture(), num_inference_steps=IMG2IMG_STEPS, strength=0.5)


def run_perturbed(pipe: Any, guided: bool) -> Any:
    return run_prompted(pipe, guided, pag_scale=3.0)


CASES = [
    Case("KolorsPipeline", "image", lambda: build(KolorsPipeline), run_prompted),
    Case("KolorsImg2ImgPipeline", "image", lambda: build(KolorsImg2ImgPipeline), run_img2img),
    Case("KolorsPAGPipeline", "image", lambda: build(KolorsPAGPipeline), run_perturbed),
]
