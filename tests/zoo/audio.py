"""Audio pipelines: a U-Net on spectrograms or on their latents."""

from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import AudioLDM2ProjectionModel, AudioLDM2UNet2DConditionModel, DDIMScheduler
from diffusers.configuration_utils import register_to_config
from diffusers.pipelines.deprecated.audio_diffusion import mel as mel_module
from diffusers.pipelines.deprecated.audio_diffusion.pipeline_audio_diffusion import AudioDiffusionPipeline
from transformers import (
    ClapTextConfig,
    ClapTextModelWithProjection,
    GPT2Config,
    GPT2LMHeadModel,
    SpeechT5HifiGan,
    SpeechT5HifiGanConfig,
    T5Config,
    T5EncoderModel,
)

from tests.zoo.case import STEPS, Case
from tests.zoo.parts import (
    EMBEDDING,
    LATENT,
    TWO_LEVELS,
    ddim,
    embeddings,
    generator,
    quiet,
    seeded,
    unet,
    vae,
)

MELS = 2 * LATENT  # rows of a spectrogram
CROSS_ATTENTIONS = (None, EMBEDDING, EMBEDDING)  # of a layer of AudioLDM 2: to itself, to GPT-2, to T5


class Mel(mel_module.Mel):
    """Without librosa, which the original asks for: the spectrogram itself stands for its sound."""

    @register_to_config
    def __init__(self, x_res: int = 256, y_res: int = 256, sample_rate: int = 22050, hop_length: int = 512):
        self.sr, self.hop_length = sample_rate, hop_length
        self.set_resolution(x_res, y_res)

    def image_to_audio(self, image: Any) -> np.ndarray:
        return np.asarray(image, dtype=np.float32).flatten()


def vocoder() -> SpeechT5HifiGan:
    """Spectrograms (n, time, MELS) to sound (n, 4 time)."""
    config = SpeechT5HifiGanConfig(
        model_in_dim=MELS,
        upsample_initial_channel=8,
        upsample_rates=[2, 2],
        upsample_kernel_sizes=[4, 4],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3]],
        normalize_before=False,
        initializer_range=0.3,
    )
    return seeded(6, lambda: SpeechT5HifiGan(config))


def clap() -> ClapTextModelWithProjection:
    config = ClapTextConfig(
        vocab_size=8,
        hidden_size=EMBEDDING,
        intermediate_size=EMBEDDING,
        projection_dim=EMBEDDING,
        num_attention_heads=2,
        num_hidden_layers=1,
    )
    return seeded(2, lambda: ClapTextModelWithProjection(config))


def t5() -> T5EncoderModel:
    config = T5Config(vocab_size=8, d_model=EMBEDDING, d_ff=EMBEDDING, d_kv=8, num_heads=2, num_layers=1)
    return seeded(3, lambda: T5EncoderModel(config))


def gpt2() -> GPT2LMHeadModel:
    shape = {"vocab_size": 8, "n_embd": EMBEDDING, "n_head": 2, "n_layer": 1}
    config = GPT2Config(**shape, bos_token_id=0, eos_token_id=0)
    return seeded(4, lambda: GPT2LMHeadModel(config))


def spectrogram_parts() -> dict[str, Any]:
    """What all of them have; they are given embeddings, so no tokenizer."""
    return {
        "vae": vae(in_channels=1, out_channels=1),
        "text_encoder": clap(),
        "tokenizer": None,
        "scheduler": ddim(),
        "vocoder": vocoder(),
    }


def driven_by_one_embedding() -> Any:
    """A U-Net without text: one embedding stands beside the time's, and attention is to itself."""
    return unet(
        cross_attention_dim=TWO_LEVELS["block_out_channels"],
        class_embed_type="simple_projection",
        projection_class_embeddings_input_dim=EMBEDDING,
        class_embeddings_concat=True,
    )


def audioldm() -> Any:
    return quiet(diffusers.AudioLDMPipeline(unet=driven_by_one_embedding(), **spectrogram_parts()))


def musicldm() -> Any:
    return quiet(
        diffusers.MusicLDMPipeline(
            unet=driven_by_one_embedding(), feature_extractor=None, **spectrogram_parts()
        )
    )


def audioldm2() -> Any:
    shape = TWO_LEVELS | {"cross_attention_dim": (CROSS_ATTENTIONS, CROSS_ATTENTIONS)}
    projection = {
        "text_encoder_dim": EMBEDDING,
        "text_encoder_1_dim": EMBEDDING,
        "langauge_model_dim": EMBEDDING,
    }
    return quiet(
        diffusers.AudioLDM2Pipeline(
            unet=seeded(0, lambda: AudioLDM2UNet2DConditionModel(**shape)),
            text_encoder_2=t5(),
            tokenizer_2=None,
            language_model=gpt2(),
            projection_model=seeded(5, lambda: AudioLDM2ProjectionModel(**projection)),
            feature_extractor=None,
            **spectrogram_parts(),
        )
    )


def audio_diffusion() -> Any:
    model = unet(in_channels=1, out_channels=1)
    return quiet(
        AudioDiffusionPipeline(vqvae=None, unet=model, mel=Mel(LATENT, LATENT), scheduler=DDIMScheduler())
    )


def settings(guided: bool) -> dict[str, Any]:
    return {
        "num_inference_steps": STEPS,
        "guidance_scale": 5.0 if guided else 1.0,
        "generator": generator(),
        "output_type": "pt",
    }


def run(pipe: Any, guided: bool) -> torch.Tensor:
    """The sound (1, 64)."""
    embedding = {name: value[:, 0] for name, value in embeddings().items()}
    return pipe(**settings(guided) | embedding).audios


def run_audioldm2(pipe: Any, guided: bool) -> torch.Tensor:
    generated = {
        name.replace("prompt", "generated_prompt"): value for name, value in embeddings(seed=8).items()
    }
    masks = {
        name: torch.ones(1, 5, dtype=torch.long) for name in ("attention_mask", "negative_attention_mask")
    }
    return pipe(**settings(guided) | embeddings() | generated | masks).audios


def run_audio_diffusion(pipe: Any, guided: bool) -> np.ndarray:
    """The sound, which here is the spectrogram's 64 values."""
    return pipe(steps=STEPS, generator=generator(), encoding=embeddings()["prompt_embeds"]).audios


CASES = [
    Case("AudioLDMPipeline", "audio", audioldm, run),
    Case("MusicLDMPipeline", "audio", musicldm, run),
    Case("AudioLDM2Pipeline", "audio", audioldm2, run_audioldm2),
    Case("AudioDiffusionPipeline", "audio", audio_diffusion, run_audio_diffusion, guidance=False),
]
