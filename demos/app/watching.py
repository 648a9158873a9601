"""What can be seen of a run while it goes on, and where it can be stopped: at the end of each step."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from diffusers import AutoencoderKL
from PIL import Image

from mmcache.api.session import Session
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.tools.media.side_by_side import as_images

PREVIEWS = 6  # of a run
PREVIEW_SIDE = 32  # the most latents along a side that are decoded: the price goes with their number


class Stopped(Exception):
    """A visitor has stopped the run."""


class Progress(NamedTuple):
    """Where a run stands.

    Attributes:
        side: "full" or "cached".
        steps: what each step so far was: None for a full one, else its branch.
        total: how many there will be.
        preview: the picture so far, if one was asked for.
    """

    side: str
    steps: Sequence[int | None]
    total: int
    preview: Image.Image | None = None


class Watcher:
    """A pipeline's `callback_on_step_end`: tells the progress, and ends the run when it is to stop.

    Attributes:
        seconds: what watching itself took, previews above all; not a part of the pipeline's own time.
    """

    def __init__(
        self,
        side: str,
        total: int,
        session: Session | None,
        stop: threading.Event,
        tell: Callable[[Progress], None],
        preview: Callable[[torch.Tensor], Image.Image | None] | None,
    ) -> None:
        self.seconds = 0.0
        self._side = side
        self._total = total
        self._session = session
        self._stop = stop
        self._tell = tell
        self._preview = preview

    def __call__(self, pipe: Any, step: int, time_of_step: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """Called by the pipeline.

        Raises:
            Stopped: the run is to stop.
        """
        if self._stop.is_set():
            raise Stopped
        started = time.perf_counter()
        total = getattr(pipe, "num_timesteps", None) or self._total
        preview = None
        if self._preview and (step + 1) % max(1, total // PREVIEWS) == 0:
            preview = self._preview(tensors["latents"])
        steps = [None] * (step + 1) if self._session is None else steps_so_far(self._session)
        self._tell(Progress(self._side, steps, total, preview))
        self.seconds += time.perf_counter() - started
        return {}


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
