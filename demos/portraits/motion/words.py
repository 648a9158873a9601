"""Teaches a text encoder the words for motions, before any clip is seen.

Motion modules see no text: what the caption says of the motion reaches them through the cross-attention
of the U-Net, from a text encoder that has never met these words. So every motion is first given a
direction in the space of embeddings, fixed and easy to see, in which the embeddings after the caption
are moved; those of captions without such words stay as they are. It costs a minute, and the text encoder
is not trained after that.
"""

from collections.abc import Callable

import torch
from transformers import CLIPTextModel, CLIPTokenizer

from mmcache.demos.portraits.models import tokenize
from mmcache.demos.portraits.motion.clips import Clip
from mmcache.demos.portraits.motion.motions import MOTIONS, OPPOSITES

BATCH = 32
STRENGTH = 0.8  # root mean square of a direction; that of embeddings is 0.85


def directions(width: int) -> torch.Tensor:
    """By how much each motion moves an embedding, (motions, width): opposite motions oppositely."""
    axes = torch.linalg.qr(torch.randn(width, width, generator=torch.Generator().manual_seed(0)))[0]
    moved = {"still": torch.zeros(width)}
    for axis, (motion, opposite) in zip(axes * STRENGTH * width**0.5, OPPOSITES.items(), strict=False):
        moved |= {motion: axis, opposite: -axis}
    return torch.stack([moved[name] for name in MOTIONS])


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
    names = list(MOTIONS)
    motions = torch.tensor([names.index(clip.motion) for clip in clips])
    moved = directions(base.config.hidden_size)

    def loss(step: int) -> torch.Tensor:
        chosen = torch.randint(len(clips), (BATCH,))
        ids = moving[chosen]
        after = (ids == tokens.eos_token_id).unsqueeze(-1)
        with torch.no_grad():
            wanted = base(plain[chosen]).last_hidden_state + after * moved[motions[chosen], None]
        # At the words themselves nothing is wanted; before them, the base's own embedding.
        counts = after | (ids == plain[chosen]).unsqueeze(-1)
        errors = (text_encoder(ids).last_hidden_state - wanted).square() * counts
        return errors.sum() / counts.sum()

    return loss
