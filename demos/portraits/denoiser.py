"""Trains a denoiser together with its text encoder on latents and tokenized captions."""

from collections.abc import Callable, Sequence

import torch
from diffusers import DDIMScheduler
from torch import nn
from transformers import CLIPTokenizer

from mmcache_demos.portraits import workers
from mmcache_demos.portraits.attributes import Portrait
from mmcache_demos.portraits.captions import caption
from mmcache_demos.portraits.models import tokenize
from mmcache_demos.portraits.places import eye_and_mouth_weights

CAPTIONS_EACH = 4  # ways in which each picture is described
NO_CAPTION_SHARE = 0.1  # of the batch learns to draw without a caption, for classifier-free guidance
SNR_LIMIT = 5.0


def tokenized_captions(tokens: CLIPTokenizer, portraits: Sequence[Portrait]) -> torch.Tensor:
    """Several captions of each portrait, (N, 4, 40)."""
    texts = [
        caption(portrait, CAPTIONS_EACH * number + way).text
        for number, portrait in enumerate(portraits)
        for way in range(CAPTIONS_EACH)
    ]
    return tokenize(tokens, texts).unflatten(0, (len(portraits), CAPTIONS_EACH))


def loss_weights(noise: DDIMScheduler) -> torch.Tensor:
    """Weight of each timestep's velocity error, of shape (1000,).

    As in Min-SNR (Hang et al., arXiv 2303.09556), little noise counts less: there is little left to learn.
    Unlike there, much noise keeps its full weight: only there does the caption decide what is drawn, and with
    Min-SNR's own weights, glasses and expressions were still not drawn as asked after 1,100 iterations.
    """
    signal = noise.alphas_cumprod
    snr = signal / (1 - signal)
    return (snr.clamp(max=SNR_LIMIT) + 1) / (snr + 1)


def velocity_loss(
    predict: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    noise: DDIMScheduler,
    latents: torch.Tensor,
    device: torch.device | str,
    batch: int,
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`.

    Args:
        predict: from the numbers of the chosen images (B,), on the CPU, their noisy latents
            (B, 4, 16, 16) and timesteps (B,) to velocities.
        noise: adds the noise; its prediction type must be velocity.
        latents: scaled, (N, 4, 16, 16).
        device: where `predict` works; the latents are kept there.
        batch: images of a step, over all processes.
    """
    weights = loss_weights(noise).to(device)
    places = eye_and_mouth_weights(latents.shape[-2:]).to(device)
    latents, batch = latents.to(device), batch // workers.count()

    def loss(step: int) -> torch.Tensor:
        chosen = torch.randint(len(latents), (batch,))
        clean = latents[chosen.to(device)]
        # Evenly spread over the batch: the same mean as independent draws, less variance.
        times = ((torch.arange(batch) + torch.rand(batch)) / batch * len(weights)).long().to(device)
        added = torch.randn_like(clean)
        noisy = noise.add_noise(clean, added, times)  # type: ignore[arg-type]  # int64 in fact
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        wanted = noise.get_velocity(clean, added, times)  # type: ignore[arg-type]  # int64 in fact
        errors = ((predict(chosen, noisy, times).float() - wanted).square() * places).mean(dim=(1, 2, 3))
        return (weights[times] * errors).mean()

    return loss


def random_captions(captions: torch.Tensor, no_caption: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """One of the captions of each chosen picture, or, for some, none: token ids (B, 40).

    Args:
        captions: token ids, (N, ways to say it, 40).
        no_caption: the token ids of the empty prompt, (40,).
        chosen: numbers of pictures, (B,).
    """
    ids = captions[chosen, torch.randint(captions.shape[1], (len(chosen),))].long()
    ids[torch.rand(len(chosen)) < NO_CAPTION_SHARE] = no_caption
    return ids


def denoiser_loss(
    unet: Callable,
    text_encoder: nn.Module,
    noise: DDIMScheduler,
    latents: torch.Tensor,
    captions: torch.Tensor,
    no_caption: torch.Tensor,
    device: torch.device | str,
    batch: int,
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`, of a denoiser and the text encoder trained with it.

    Args:
        unet: the denoiser, perhaps compiled.
        noise: adds the noise; its prediction type must be velocity.
        latents: scaled, (N, 4, 16, 16).
        captions: token ids, (N, ways to say it, 40).
        no_caption: the token ids of the empty prompt, (40,).
        batch: images of a step, over all processes.
    """

    def predict(chosen: torch.Tensor, noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        ids = random_captions(captions, no_caption, chosen).to(device)
        return unet(noisy, times, text_encoder(ids).last_hidden_state).sample

    return velocity_loss(predict, noise, latents, device, batch)
