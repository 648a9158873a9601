"""LPIPS (Zhang et al. 2018, arXiv 1801.03924): how different two images look to a network that sees.

torchmetrics brings the linear layers on top. The network below is AlexNet as it was trained on ImageNet,
whose weights belong to torchvision; they are read where they are, and never downloaded from here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmcache.tools.quality.figures import Figure, NotMeasuredError, stills
from mmcache.tools.quality.metrics import channels_first

WEIGHTS = "alexnet-owt-7be5be79.pth"
SOURCE = f"https://download.pytorch.org/models/{WEIGHTS}"


def lpips_figure(weights: Path | None = None) -> Figure:
    """LPIPS as a figure of a sweep.

    Args:
        weights: AlexNet's, as torchvision has them; None looks where torch keeps what it has downloaded.

    Raises:
        NotMeasuredError: something is missing; the message says what, and how to get it.
    """
    net = load_lpips(find_weights(weights))

    def measure(images: np.ndarray, reference: np.ndarray, prompts: Sequence[str]) -> list[float | None]:
        pairs = zip(images, reference, strict=True)
        return [distance(net, stills(one), stills(full)) for one, full in pairs]

    return Figure("lpips", "LPIPS (AlexNet)", measure, digits=4, higher_is_better=False)


def find_weights(given: Path | None) -> Path:
    """The file of AlexNet's weights.

    Raises:
        NotMeasuredError: it is not there.
    """
    if given is None:
        cached = Path(torch.hub.get_dir(), "checkpoints", WEIGHTS)
        if not cached.is_file():
            raise NotMeasuredError(
                "AlexNet's weights are not on this machine, and nothing is downloaded unasked (--lpips FILE)"
            )
        return cached
    if not given.is_file():
        raise NotMeasuredError(f"{given}: there is no such file; AlexNet's weights are at {SOURCE}")
    return given


def load_lpips(weights: Path) -> Any:
    """The network, with AlexNet's weights from this file.

    Raises:
        NotMeasuredError: they are not in it, or torchvision or torchmetrics is not installed.
    """
    try:
        from torchmetrics.functional.image import lpips
    except ImportError:
        raise NotMeasuredError('torchmetrics is not installed: pip install "mmcache[metrics]"') from None
    try:
        # A backbone without weights, since torchvision would download them; the layers on top have theirs.
        net = lpips._LPIPS(net="alex", pnet_rand=True)
    except ModuleNotFoundError:
        raise NotMeasuredError(
            "it needs torchvision, which is not installed: pip install torchvision"
        ) from None
    try:
        stored = torch.load(weights, map_location="cpu", weights_only=True)
        for module in net.net.children():
            for name, layer in module.named_parameters():
                layer.copy_(stored[f"features.{name}"])
    except Exception as error:  # whatever torch raises for a file that holds something else
        raise NotMeasuredError(
            f"{weights} does not hold AlexNet's weights ({type(error).__name__}: {error}); "
            f"get them from {SOURCE}"
        ) from None
    return net


@torch.no_grad()
def distance(net: Any, images: np.ndarray, reference: np.ndarray) -> float:
    """Mean over two stacks (N, H, W, 3) in [0, 1]."""
    ours, theirs = (channels_first(stack).float().clamp(0, 1) for stack in (images, reference))
    return float(net(ours, theirs, normalize=True).mean())
