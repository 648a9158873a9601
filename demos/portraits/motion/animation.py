"""Trains motion modules on the latents of clips; U-Net and text encoder stay as they are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from diffusers import DDIMScheduler, UNetMotionModel
from diffusers.models.embeddings import SinusoidalPositionalEmbedding
from torch import nn

from mmcache.demos.portraits.denoiser import NO_CAPTION_SHARE, loss_weights

CLIPS = 3  # in a batch, each forwards and backwards
# Frames of a clip that a step sees, chosen anew each time: more clips for the same work.
SEEN_FRAMES = 3
# Motion is decided where there is much noise, so steps with much of it are taken more often:
# an evenly spread number in [0, 1] to this power is the share of the noisiest timestep.
TIME_POWER = 0.45


def animation_loss(
    unet: UNetMotionModel,
    text_encoder: nn.Module,
    noise: DDIMScheduler,
    latents: torch.Tensor,
    captions: torch.Tensor,
    no_caption: torch.Tensor,
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`: of clips and the same clips backwards, under the same noise.

    Two such differ in nothing but the words for the motion and the order of frames, so their difference
    teaches the words and little else disturbs it. The noise of frames is independent, as the pipeline
    samples it.

    Args:
        unet: the denoiser with the motion modules.
        text_encoder: knows the words for motions, see `words`. It is not trained here: trained together
            with modules that do not use its words yet, it unlearned them, for all that they did was disturb.
        noise: adds the noise; its prediction type must be velocity.
        latents: scaled, (N, 4, frames, 16, 16).
        captions: token ids of clips forwards and backwards, (N, 2, 40).
        no_caption: the token ids of the empty prompt, (40,).
    """
    weights = loss_weights(noise)

    def loss(step: int) -> torch.Tensor:
        chosen = torch.randint(len(latents), (CLIPS,))
        seen = torch.randperm(latents.shape[2])[:SEEN_FRAMES].sort().values
        ids = torch.where(torch.rand(CLIPS, 1, 1) < NO_CAPTION_SHARE, no_caption, captions[chosen])
        # Evenly spread over the batch: the same mean as independent draws, less variance.
        spread = (torch.arange(CLIPS) + torch.rand(CLIPS)) / CLIPS
        times = (spread**TIME_POWER * len(weights)).long().repeat_interleave(2)
        clean = both_ways(latents[chosen])[:, :, seen]
        added = both_ways(torch.randn_like(latents[chosen]))[:, :, seen]
        noisy = noise.add_noise(clean, added, times)
        wanted = noise.get_velocity(clean, added, times)
        with torch.no_grad():
            text = text_encoder(ids.flatten(0, 1)).last_hidden_state.repeat_interleave(SEEN_FRAMES, dim=0)
        with at_places(unet, seen):
            errors = (unet(noisy, times, text).sample - wanted).square().mean(dim=(1, 2, 3, 4))
        return (weights[times] * errors).mean()

    return loss


def both_ways(clips: torch.Tensor) -> torch.Tensor:
    """Each clip (N, 4, frames, 16, 16) forwards and then backwards, (2 N, 4, frames, 16, 16)."""
    return torch.stack([clips, clips.flip(2)], dim=1).flatten(0, 1)


@contextmanager
def at_places(unet: UNetMotionModel, places: torch.Tensor) -> Iterator[None]:
    """Motion modules take the frames they are given for those of these places in a clip."""
    embeddings = [module for module in unet.modules() if isinstance(module, SinusoidalPositionalEmbedding)]
    whole = [embedding.pe for embedding in embeddings]
    try:
        for embedding in embeddings:
            embedding.pe = embedding.pe[:, places]
        yield
    finally:
        for embedding, all_places in zip(embeddings, whole, strict=True):
            embedding.pe = all_places
