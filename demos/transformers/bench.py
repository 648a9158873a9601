"""A subject's runs by any method, and which setting of a method takes as many multiply-adds as another's."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from mmcache.tools.quality.latent_error import latent_error
from mmcache_demos.transformers.left_out import CallWatch, LeftOut, Price, hooked
from mmcache_demos.transformers.methods import Method
from mmcache_demos.transformers.subjects import Subject

THRESHOLDS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
HALVINGS = 4


@dataclass(frozen=True)
class Ran:
    """A run by a method.

    Attributes:
        latents: at the end.
        calls: of the denoiser: what each left out.
        held: bytes, at most, at the beginning of a call.
    """

    latents: torch.Tensor
    calls: list[LeftOut]
    held: int

    @property
    def usual_cached(self) -> LeftOut:
        """What most of the cached calls left out; nothing where none was cached."""
        left_out = Counter(call for call in self.calls if call)
        return max(left_out, key=left_out.__getitem__, default=frozenset())


class Bench:
    """One subject: its full run, and what its layers take."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        pipe = subject.make()
        with CallWatch(pipe.transformer)() as watch:
            self.full = subject.draw(pipe)
        self.given = watch.given
        self.price = Price(pipe.transformer, watch.given)
        self.full_macs = len(watch.calls) * self.price.full

    def pipe(self) -> Any:
        """A pipeline of a class of its own, which may be patched."""
        pipe = self.subject.make()
        pipe.__class__ = type(type(pipe).__name__, (type(pipe),), {})
        return pipe

    def run(self, method: Method, setting: Any) -> Ran:
        """Run it once, and look at every call."""
        pipe, held = self.pipe(), [0]
        with (
            method.enabled(self.subject, pipe, setting) as bytes_held,
            CallWatch(pipe.transformer)() as watch,
            hooked([pipe.transformer.register_forward_pre_hook(lambda *_: held.append(bytes_held()))]),
        ):
            latents = self.subject.draw(pipe)
        return Ran(latents, watch.calls, max(held))

    def macs(self, ran: Ran) -> int:
        return sum(self.price.macs(left_out) for left_out in ran.calls)

    def error(self, ran: Ran) -> float:
        return float(latent_error(ran.latents.numpy(), self.full.numpy()).relative.mean())


def nearest(bench: Bench, method: Method, interval: int, wanted: int, known: dict[Any, Ran]) -> Any:
    """The setting whose run takes the nearest number of multiply-adds.

    Args:
        wanted: multiply-adds.
        known: runs by setting; those that were needed are added.
    """

    def macs(setting: Any) -> int:
        if setting not in known:
            known[setting] = bench.run(method, setting)
        return bench.macs(known[setting])

    if method.threshold:
        return bisected(macs, wanted, known)
    settings = method.settings(interval, bench.subject.steps, bench.full_macs / wanted)
    if len(settings) == 1:
        return settings[0]
    macs(settings[0])
    ran = known[settings[0]]
    of_a_step, steps = len(ran.calls) // bench.subject.steps, bench.subject.steps
    cached = min(bench.price.macs(left_out) for left_out in ran.calls)

    def off(setting: Any) -> float:
        full = method.full_steps(setting, steps)
        return abs(of_a_step * (full * bench.price.full + (steps - full) * cached) - wanted)

    return min(settings, key=off)


def bisected(macs: Callable[[float], int], wanted: int, known: dict[Any, Ran]) -> float:
    """The threshold, between those of a coarse grid and halfway between them on a logarithmic scale."""
    for threshold in THRESHOLDS:
        macs(threshold)
    for _ in range(HALVINGS):
        dearer = max((t for t in known if macs(t) > wanted), default=None)
        cheaper = min((t for t in known if macs(t) <= wanted), default=None)
        if dearer is None or cheaper is None or macs(cheaper) == wanted or dearer > cheaper:
            break
        macs((dearer * cheaper) ** 0.5)
    return min(known, key=lambda threshold: abs(macs(threshold) - wanted))
