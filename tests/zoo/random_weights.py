"""Weights that a constructor sets to zero, made random: else the output does not depend on all layers."""

from collections.abc import Callable
from typing import Any

import torch

from tests.zoo import parts


def lively(seed: int, build: Callable[[], Any]) -> Any:
    """The model that `build()` makes, the same every time, without a weight that is zero throughout."""
    model = parts.seeded(seed, build)
    with torch.no_grad():
        for weight in model.parameters():
            if not weight.any():
                weight.normal_(std=0.2)
    return model
