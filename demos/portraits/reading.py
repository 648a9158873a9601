"""Teaches a text encoder to read captions before any picture is drawn from them.

It costs a minute and saves many of the denoiser's: from its first step on, the embedding of the padding
after a caption tells what the caption names. Denoiser and text encoder are then trained together.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer, T5EncoderModel

from mmcache_demos.portraits import workers
from mmcache_demos.portraits.attributes import VALUES, random_portrait
from mmcache_demos.portraits.captions import caption
from mmcache_demos.portraits.dataset import seeds
from mmcache_demos.portraits.models import tokenize


class Reader(nn.Module):
    """A text encoder and a linear guess of every attribute, from its last embedding."""

    def __init__(self, text_encoder: CLIPTextModel | T5EncoderModel) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        width = text_encoder.config.hidden_size
        # One more than there are values: the caption may not name the attribute.
        self.guesses = nn.ModuleDict({field: nn.Linear(width, len(VALUES[field]) + 1) for field in VALUES})

    def read(self, ids: torch.Tensor) -> torch.Tensor:
        """What a caption says, (B, width)."""
        return self.text_encoder(ids).last_hidden_state[:, -1]

    def forward(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        said = self.read(ids)
        return {field: guess(said) for field, guess in self.guesses.items()}


def reading_loss(
    reader: Reader, tokens: CLIPTokenizer, pictures: int, device: torch.device | str, batch: int
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`, over captions of the training portraits.

    Args:
        pictures: how many portraits there are.
        batch: captions of a step, over all processes.
    """

    def loss(step: int) -> torch.Tensor:
        chosen = torch.randint(pictures, (batch // workers.count(), 2)).tolist()
        first = seeds("train", 1).start
        portraits = [random_portrait(first + number) for number, _ in chosen]
        captions = [caption(p, way) for p, (_, way) in zip(portraits, chosen, strict=True)]
        guesses = reader(tokenize(tokens, [text.text for text in captions]).to(device))
        losses = []
        for field, values in VALUES.items():
            labels = [
                values.index(getattr(p, field)) if field in text.named else len(values)
                for p, text in zip(portraits, captions, strict=True)
            ]
            losses.append(F.cross_entropy(guesses[field], torch.tensor(labels, device=device)))
        return torch.stack(losses).mean()

    return loss
