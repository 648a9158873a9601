"""What can be seen of a run while it goes on, and where it can be stopped: at the end of each step."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from diffusers import AutoencoderKL
from PIL import Image

from mmcache.api.session import Session
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.tools.media.side_by_side import as_images

PREVIEW_SIDE = 32  # the most latents along a side that are decoded: the price goes with their number


class Stopped(Exception):
    """A visitor has stopped the run."""


class Progress(NamedTuple):
    """Where a run stands.

    Attributes:
        side: "full" or "cached".
        steps: what each step so far was: None for a full one, else its branch.
        total: how many there will be.
        preview: the last image on the way, if any was asked for.
    """

    side: str
    steps: Sequence[int | None]
    total: int
    preview: Image.Image | None = None


class Frame(NamedTuple):
    """An image on the way.

    Attributes:
        step: after which it was made, counted from 1.
        seconds: that the run had taken by then.
        image: small.
    """

    step: int
    seconds: float
    image: Image.Image


class Watcher:
    """Watches one run step by step: tells the progress, and ends the run when it is to stop.

    Args:
        side: "full" or "cached".
        total: the steps, where the pipeline does not say.
        session: of the cached run; None for the full one.
        stops: events; when one of them is set the run ends.
        tell: is told after every step.
        frames: the images on the way are put here.
    """

    def __init__(
        self,
        side: str,
        total: int,
        session: Session | None,
        stops: Sequence[threading.Event],
        tell: Callable[[Progress], None],
        frames: list[Frame],
    ) -> None:
        self._side = side
        self._total = total
        self._session = session
        self._stops = stops
        self._tell = tell
        self._frames = frames
        self._preview: Callable[[torch.Tensor], Image.Image | None] | None = None
        self._count = 1

    def shows(self, preview: Callable[[torch.Tensor], Image.Image | None], count: int) -> None:
        """Make images on the way, so many in a run."""
        self._preview, self._count = preview, count

    def __call__(self, pipe: Any, step: int, tensors: Mapping[str, Any], seconds: float) -> None:
        """A step is over.

        Args:
            seconds: that the run has taken so far.

        Raises:
            Stopped: the run is to stop.
        """
        if any(stop.is_set() for stop in self._stops):
            raise Stopped
        total = getattr(pipe, "num_timesteps", None) or self._total
        if self._preview and (step + 1) % max(1, total // self._count) == 0:
            image = self._preview(tensors["latents"])
            if image is not None:
                self._frames.append(Frame(step + 1, seconds, image))
        steps = [None] * (step + 1) if self._session is None else steps_so_far(self._session)
        preview = self._frames[-1].image if self._frames else None
        self._tell(Progress(self._side, steps, total, preview))


def steps_so_far(session: Session) -> list[int | None]:
    """The branch of each step of the current run, None for full ones; of the denoiser that has run most."""
    busiest: CachingScheduler = max(session.denoisers.values(), key=lambda one: len(one.run.calls))
    return [call.branch for call in list(busiest.run.calls) if call.lane == 0]


def preview_of(pipe: Any, latents: torch.Tensor) -> Image.Image | None:
    """A small picture of latents (N, C, H, W), or of the middle frame of a clip's (N, C, F, H, W).

    Latents are reduced before they are decoded, which costs a fraction of a whole decoding and shows enough.
    Noise in them is reduced too, so early pictures look calmer than they are.

    Returns:
        None for pipelines without the usual autoencoder, with latents in another form (packed into tokens, as
        Flux has them), or with an autoencoder that overflows in half precision.
    """
    vae = getattr(pipe, "vae", None)
    if not isinstance(vae, AutoencoderKL) or latents.ndim not in (4, 5):
        return None
    if vae.config.force_upcast and vae.dtype == torch.float16:
        return None
    one = latents[:1, :, latents.shape[2] // 2] if latents.ndim == 5 else latents[:1]
    longest = max(one.shape[-2:])
    if longest > PREVIEW_SIDE:
        one = torch.nn.functional.interpolate(one, scale_factor=PREVIEW_SIDE / longest, mode="area")
    decoded = vae.decode(
        one.to(vae.dtype) / vae.config.scaling_factor + (vae.config.shift_factor or 0)
    ).sample
    pixels = decoded.float().div(2).add(0.5).nan_to_num().clamp(0, 1).permute(0, 2, 3, 1)
    return as_images(pixels.cpu().numpy())[0]
