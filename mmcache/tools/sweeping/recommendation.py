"""The one configuration of a sweep to take, and why."""

from typing import NamedTuple

from mmcache.tools.quality.figures import PSNR
from mmcache.tools.sweeping.configurations import Cached, FewerSteps
from mmcache.tools.sweeping.result import ConfigurationResult, Sweep

GOOD_DB = 40.0  # PSNR from which on differences are hard to see side by side


class Recommendation(NamedTuple):
    """What to take.

    Attributes:
        result: the configuration.
        why: a sentence.
    """

    result: ConfigurationResult
    why: str


def recommended(sweep: Sweep) -> Recommendation | None:
    """The configuration that saves the most and is still close; None where nothing was compared.

    Close is a PSNR of 40 dB at the lower end of its confidence interval. Where no configuration is, the
    closest one is taken. A run of fewer steps without a cache that is better in both respects is taken
    instead.
    """
    cached = [one for one in sweep.results if one.kind == Cached.kind and PSNR.name in one.figures]
    if not cached:
        return None
    close = [one for one in cached if least(one) >= GOOD_DB]
    best = max(close, key=lambda one: saved(sweep, one)) if close else max(cached, key=psnr)
    reason = (
        f"it saves the most of those with a PSNR of {GOOD_DB:g} dB or more"
        if close
        else f"none has a PSNR of {GOOD_DB:g} dB with certainty, and it is the closest"
    )
    control = control_of(sweep, best)
    if control is None:
        return Recommendation(best, reason)
    if psnr(control) >= psnr(best):
        why = f"it saves as much as {best.label}, without a cache, and is closer ({psnr(best):.1f} dB there)"
        return Recommendation(control, why)
    return Recommendation(
        best, f"{reason}; {control.label} has {psnr(control):.1f} dB at {saved(sweep, control):.2f}x"
    )


def sentence(sweep: Sweep, found: Recommendation) -> str:
    """Recommended: Uniform(3), Taylor(1), branch 0: 2.40x fewer MACs, 59.7 dB; ..."""
    unit = "fewer MACs" if sweep.fewer_macs(found.result) is not None else "faster"
    gain = f"{saved(sweep, found.result):.2f}x {unit}, PSNR {psnr(found.result):.1f} dB"
    return f"Recommended: {found.result.label}: {gain}; {found.why}."


def control_of(sweep: Sweep, best: ConfigurationResult) -> ConfigurationResult | None:
    """Of the runs with fewer steps that save as much, the one with the most steps."""
    enough = [
        one
        for one in sweep.results
        if one.kind == FewerSteps.kind
        and PSNR.name in one.figures
        and saved(sweep, one) >= saved(sweep, best)
    ]
    return max(enough, key=lambda one: one.steps, default=None)


def saved(sweep: Sweep, result: ConfigurationResult) -> float:
    """How many times less it takes: in multiply-adds, or in seconds where they cannot be counted."""
    return sweep.fewer_macs(result) or sweep.speed_up(result)


def psnr(result: ConfigurationResult) -> float:
    return result.figures[PSNR.name].value


def least(result: ConfigurationResult) -> float:
    """The lower end of the confidence interval."""
    return psnr(result) - (result.figures[PSNR.name].margin or 0.0)
