"""Trains a U-Net with motion modules, all of it, on the latents of clips."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from diffusers import DDIMScheduler, UNetMotionModel
from diffusers.models.embeddings import SinusoidalPositionalEmbedding
from torch import nn

from mmcache.demos.portraits.denoiser import NO_CAPTION_SHARE, loss_weights

BATCH_FRAMES = 16  # of all clips that one process sees in a step
# Until which share of the iterations a step sees how many frames of each clip. Single frames come first:
# they teach where a motion has moved the portrait to by then, and to draw it there, from sixteen clips
# in every step. What holds the frames of a clip together needs several, and comes last.
STAGES = ((0.5, 1), (0.85, 4), (1.0, 8))
# Motion is decided where there is much noise, so steps with much of it are taken more often:
# an evenly spread number in [0, 1] to this power is the share of the noisiest timestep.
TIME_POWER = 0.6


def frames_seen(share: float) -> int:
    """How many frames of each clip a step sees when a share of the iterations is done."""
    return next(frames for until, frames in STAGES if share < until)


def animation_loss(
    unet: UNetMotionModel,
    text_encoder: nn.Module,
    noise: DDIMScheduler,
    latents: torch.Tensor,
    captions: torch.Tensor,
    no_caption: torch.Tensor,
    iterations: int,
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`. The noise of frames is independent, as pipelines sample it.

    Args:
        unet: the denoiser with the motion modules.
        text_encoder: knows the words for motions, see `words`. It is not trained here: trained together
            with modules that do not use its words yet, it unlearned them, for all that they did was disturb.
        noise: adds the noise; its prediction type must be velocity.
        latents: scaled, (N, 4, frames, 16, 16).
        captions: token ids, (N, 40).
        no_caption: the token ids of the empty prompt, (40,).
        iterations: of the whole training.
    """
    weights = loss_weights(noise)

    def loss(step: int) -> torch.Tensor:
        frames = frames_seen(step / iterations)
        count = BATCH_FRAMES // frames
        chosen = torch.randint(len(latents), (count,))
        places = torch.rand(count, latents.shape[2]).argsort(dim=1)[:, :frames].sort(dim=1).values
        # Evenly spread over the batch: the same mean as independent draws, less variance.
        spread = (torch.arange(count) + torch.rand(count)) / count
        times = (spread**TIME_POWER * len(weights)).long()
        clean = torch.stack([clip[:, seen] for clip, seen in zip(latents[chosen], places, strict=True)])
        added = torch.randn_like(clean)
        noisy = noise.add_noise(clean, added, times)
        wanted = noise.get_velocity(clean, added, times)
        ids = torch.where(torch.rand(count, 1) < NO_CAPTION_SHARE, no_caption, captions[chosen])
        with torch.no_grad():
            text = text_encoder(ids).last_hidden_state.repeat_interleave(frames, dim=0)
        with at_places(unet, places):
            errors = (unet(noisy, times, text).sample - wanted).square().mean(dim=(1, 2, 3, 4))
        return (weights[times] * errors).mean()

    return loss


@contextmanager
def at_places(unet: UNetMotionModel, places: torch.Tensor) -> Iterator[None]:
    """Motion modules take the frames of each clip for those of these places in it, (clips, frames)."""

    def add(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        # Every pixel of a clip is a sequence of its own.
        return inputs[0] + module.pe[0, places].repeat_interleave(len(output) // len(places), dim=0)

    modules = [module for module in unet.modules() if isinstance(module, SinusoidalPositionalEmbedding)]
    hooks = [module.register_forward_hook(add) for module in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
