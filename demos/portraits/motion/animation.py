"""Trains a U-Net with motion modules, all of it, on the latents of clips."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from diffusers import DDIMScheduler, UNetMotionModel
from diffusers.models.embeddings import SinusoidalPositionalEmbedding
from torch import nn

from mmcache_demos.portraits import workers
from mmcache_demos.portraits.cuda_graphs import as_cuda_graphs
from mmcache_demos.portraits.denoiser import NO_CAPTION_SHARE, loss_weights
from mmcache_demos.portraits.motion.motions import FRAMES
from mmcache_demos.portraits.places import eye_and_mouth_weights
from mmcache_demos.portraits.training import Recipe

# Until which share of the iterations a step sees how many frames of each clip. Single frames come first:
# they teach where a motion has moved the portrait to by then, and to draw it there, from sixteen clips
# in every step. What holds the frames of a clip together needs several, and comes last.
STAGES = ((0.5, 1), (0.85, 4), (1.0, 8))
LAST_STAGE = STAGES[-2][0]  # the share at which it begins
# Between which shares of the iterations the tokens of all frames turn from what the seen frame needs to what
# they say when clips are drawn, see `tokens_for_frames`.
TURN = (0.12, 0.42)
# Motion is decided where there is much noise, so steps with much of it are taken more often:
# an evenly spread number in [0, 1] to this power is the share of the noisiest timestep.
TIME_POWER = 0.6
EMBEDDED_TOGETHER = 512  # captions


def frames_seen(share: float) -> int:
    """How many frames of each clip a step sees when a share of the iterations is done."""
    return next((frames for until, frames in STAGES if share < until), FRAMES)


def tokens_for_frames(
    text: torch.Tensor, poses: torch.Tensor, places: torch.Tensor, turned: float
) -> torch.Tensor:
    """Embedded captions for each frame, (clips * frames, 40, width).

    To find out where the portrait is, a frame has to find its own token among those that `words` describes,
    and to know what this token says. Neither is worth anything without the other, and from a random start
    both together were not found within 370 iterations: the U-Net learned how far from the clip's middle a
    frame is and ignored the words. So at first the tokens of all frames say what this frame needs, and
    step by step they turn into what they say of their own frames.

    Args:
        text: of each clip, (clips, 40, width).
        poses: by how much the tokens of each clip are moved to say where the portrait is, (clips, 8, width).
        places: of the frames in their clips, (clips, frames).
        turned: 0 for a token of all frames that says what this frame needs, 1 for the caption as it is.
    """
    own = poses.take_along_dim(places.unsqueeze(-1), dim=1)  # (clips, frames, width)
    for_frames = text.unsqueeze(1).repeat(1, places.shape[1], 1, 1)
    for_frames[:, :, -FRAMES:] += (1 - turned) * (own.unsqueeze(2) - poses.unsqueeze(1))
    return for_frames.flatten(0, 1)


class Velocity(nn.Module):
    """The motion U-Net's answer as a tensor: noisy (clips, 4, frames, 16, 16), times, text to velocities."""

    def __init__(self, unet: UNetMotionModel) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, noisy: torch.Tensor, times: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return self.unet(noisy, times, text).sample


@torch.no_grad()
def embedded_captions(text_encoder: nn.Module, captions: torch.Tensor) -> torch.Tensor:
    """The text encoder's answers to token ids (N, 40), each once: (N, 40, width)."""
    return torch.cat([text_encoder(some).last_hidden_state for some in captions.split(EMBEDDED_TOGETHER)])


def animation_loss(
    unet: UNetMotionModel,
    text_encoder: nn.Module,
    noise: DDIMScheduler,
    latents: torch.Tensor,
    captions: torch.Tensor,
    poses: torch.Tensor,
    no_caption: torch.Tensor,
    recipe: Recipe,
    device: torch.device | str,
    begin_at: float = 0.0,
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`. The noise of frames is independent, as pipelines sample it.

    On a GPU, steps that all see whole clips run as CUDA graphs.

    Args:
        unet: the denoiser with the motion modules.
        text_encoder: knows the words for motions, see `words`. It is not trained here: trained together
            with modules that do not use its words yet, it unlearned them, for all that they did was disturb.
        noise: adds the noise; its prediction type must be velocity.
        latents: scaled, (N, 4, frames, 16, 16).
        captions: token ids, (N, 40).
        poses: what their frame tokens say of the portrait, see `words.pose_directions`, (N, 8, width).
        no_caption: the token ids of the empty prompt, (40,).
        recipe: of the whole training; its batch is a number of frames.
        device: where the denoiser is; latents, captions and poses are kept there.
        begin_at: the share of the stages that the denoiser has behind it.
    """
    weights = loss_weights(noise).to(device)
    faces = eye_and_mouth_weights(latents.shape[-2:]).to(device)  # where they are in the middle of a clip
    latents, poses = latents.to(device), poses.to(device)
    embedded = embedded_captions(text_encoder, captions.to(device))
    nothing = embedded_captions(text_encoder, no_caption[None].to(device))
    velocity: nn.Module = Velocity(unet)
    if begin_at >= LAST_STAGE and torch.device(device).type == "cuda":
        count = recipe.batch // workers.count() // FRAMES
        velocity = as_cuda_graphs(
            velocity,
            latents[:count],
            torch.zeros(count, dtype=torch.long, device=device),
            embedded[:count].repeat_interleave(FRAMES, dim=0),
        )

    def loss(step: int) -> torch.Tensor:
        share = min(begin_at + (1 - begin_at) * step / recipe.iterations, 1.0)
        frames = frames_seen(share)
        count = max(1, recipe.batch // workers.count() // frames)
        chosen = torch.randint(len(latents), (count,)).to(device)
        places = torch.rand(count, latents.shape[2]).argsort(dim=1)[:, :frames].sort(dim=1).values.to(device)
        # Evenly spread over the batch: the same mean as independent draws, less variance.
        spread = (torch.arange(count) + torch.rand(count)) / count
        times = (spread**TIME_POWER * len(weights)).long().to(device)
        clean = latents[chosen].take_along_dim(places[:, None, :, None, None], dim=2)
        added = torch.randn_like(clean)
        noisy = noise.add_noise(clean, added, times)  # type: ignore[arg-type]  # int64 in fact
        wanted = noise.get_velocity(clean, added, times)  # type: ignore[arg-type]  # int64 in fact
        silent = (torch.rand(count, 1, 1) < NO_CAPTION_SHARE).to(device)
        turned = min(max((share - TURN[0]) / (TURN[1] - TURN[0]), 0.0), 1.0)
        said = torch.where(silent, nothing, embedded[chosen])
        text = tokens_for_frames(said, poses[chosen] * ~silent, places, turned)
        # A graph calls no hooks; all frames of a clip are at their own places anyway.
        with at_places(unet, places) if frames < FRAMES else nullcontext():
            errors = (velocity(noisy, times, text).float() - wanted).square() * faces
        return (weights[times] * errors.mean(dim=(1, 2, 3, 4))).mean()

    return loss


@contextmanager
def at_places(unet: UNetMotionModel, places: torch.Tensor) -> Iterator[None]:
    """Motion modules take the frames of each clip for those of these places in it, (clips, frames)."""

    def add(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        # Every pixel of a clip is a sequence of its own.
        embedded = module.get_buffer("pe")[0, places]
        return inputs[0] + embedded.repeat_interleave(len(output) // len(places), dim=0)

    modules = [module for module in unet.modules() if isinstance(module, SinusoidalPositionalEmbedding)]
    hooks = [module.register_forward_hook(add) for module in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
