"""Teaches a text encoder the words for motions, before any clip is seen.

Motion modules see no text, and the text is the same for all frames; where the portrait is in a frame
follows from both, the words and the frame's place in the clip. So the text encoder is taught to write
the whole motion out: the last tokens, padding behind any caption that leaves them free, stand for the
frames of a clip, one each. The embedding of each is moved in a direction that says which frame it is,
by which the cross-attention of that frame finds it, and in directions that say how far the portrait is
moved and enlarged in it. Captions' other embeddings, and those of no caption, stay as they are.

It costs two minutes, and the text encoder is not trained after that.
"""

import math
from collections.abc import Callable

import torch
from transformers import CLIPTextModel, CLIPTokenizer

from mmcache_demos.portraits.models import tokenize
from mmcache_demos.portraits.motion.clips import Clip
from mmcache_demos.portraits.motion.motions import FRAMES, MOTIONS, SHIFT, ZOOM

BATCH = 32
NO_CAPTION = 2  # of the batch, which say nothing of any motion
STRENGTH = 0.8  # root mean square of a direction; that of embeddings is 0.85
OVERLAP = 1.0  # frames: neighbours are called by similar directions, which attention learns faster


def frame_directions(width: int) -> torch.Tensor:
    """By how much the token of each frame is moved to say which it is, (frames, width)."""
    far = (torch.arange(FRAMES)[:, None] - torch.arange(FRAMES)).float() / OVERLAP
    mixed = torch.exp(-0.5 * far.square()) @ _axes(width)[:FRAMES]
    return STRENGTH * width**0.5 * mixed / mixed.norm(dim=1, keepdim=True)


def pose_directions(width: int) -> torch.Tensor:
    """By how much it is moved to say where the portrait is then, (motions, frames, width).

    Evenly from the first frame to the last, as motions go; none in the middle of a clip.
    """
    shares = [
        [
            (2 * pose.right / SHIFT, 2 * pose.down / SHIFT, 2 * math.log(pose.zoom, ZOOM))
            for pose in (motion.pose(index / (FRAMES - 1)) for index in range(FRAMES))
        ]
        for motion in MOTIONS.values()
    ]
    return STRENGTH * width**0.5 * torch.tensor(shares) @ _axes(width)[FRAMES : FRAMES + 3]


def _axes(width: int) -> torch.Tensor:
    """Orthonormal rows, always the same."""
    return torch.linalg.qr(torch.randn(width, width, generator=torch.Generator().manual_seed(0)))[0].T


def words_loss(
    text_encoder: CLIPTextModel, base: CLIPTextModel, tokens: CLIPTokenizer, clips: list[Clip]
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`.

    Args:
        text_encoder: trained.
        base: the text encoder that the U-Net was trained with.
        clips: whose captions are read.
    """
    plain = tokenize(tokens, [clip.caption.text for clip in clips])
    moving = tokenize(tokens, [clip.text for clip in clips])
    nothing = tokenize(tokens, [""])
    names = list(MOTIONS)
    motions = torch.tensor([names.index(clip.motion) for clip in clips])
    width = base.config.hidden_size
    moved = frame_directions(width) + pose_directions(width)

    def loss(step: int) -> torch.Tensor:
        chosen = torch.randint(len(clips), (BATCH,))
        ids, known = moving[chosen], plain[chosen]
        ids[:NO_CAPTION] = known[:NO_CAPTION] = nothing
        after = (ids == tokens.eos_token_id).unsqueeze(-1)
        with torch.no_grad():
            wanted = base(known).last_hidden_state
            wanted[NO_CAPTION:, -FRAMES:] += moved[motions[chosen[NO_CAPTION:]]]
        # At the words themselves nothing is wanted; before them, the base's own embedding.
        counts = after | (ids == known).unsqueeze(-1)
        errors = (text_encoder(ids).last_hidden_state - wanted).square() * counts
        return errors.sum() / counts.sum()

    return loss
