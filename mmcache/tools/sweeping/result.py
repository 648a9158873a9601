"""What a sweep found out: one record per configuration, and all of them together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmcache.markup import block, listed, table
from mmcache.plans.plan_file import plan_as_dict
from mmcache.tools.comparison.comparison import DOUBTFUL, counted
from mmcache.tools.quality.confidence import Mean, mean_of
from mmcache.tools.quality.figures import VMAF, Figure, NotMeasuredError
from mmcache.tools.quality.latent_error import latent_error
from mmcache.tools.running.requests import ImageRequest
from mmcache.tools.sweeping.configurations import Cached, Configuration, Full
from mmcache.tools.sweeping.generation import Generation

MACS = "macs"  # beside the names of figures, where a note says why they are missing


@dataclass(frozen=True)
class ConfigurationResult:
    """One configuration, measured.

    Attributes:
        label: names it.
        kind: cached, fewer steps, ...; see `configurations`.
        series: configurations of one series differ in how much they save.
        traits: policy, forecast and branch, in words; empty without a plan.
        interval: a full step every so many; None where there is no such number.
        plan: the contents of its plan file; None without a plan.
        steps: sampling steps.
        full_calls, cached_calls, macs, bytes_held: as `Cost` says, over all images.
        seconds: wall time of the pipeline's calls.
        identical: whether the images equal the full run's bit for bit.
        figures: mean of each figure of quality.
        each: the figures image by image.
        latent_error: relative error of the latent at the end of each step; of a run with another number of
            steps only the last.
        latent_cosine: the same for the cosine.
        notes: why a figure is missing, by its name.
    """

    label: str
    kind: str
    series: str
    traits: tuple[str, ...]
    interval: int | None
    plan: dict[str, Any] | None
    steps: int
    full_calls: int
    cached_calls: int
    macs: int | None
    bytes_held: int
    seconds: float
    identical: bool
    figures: dict[str, Mean] = field(default_factory=dict)
    each: dict[str, list[float | None]] = field(default_factory=dict)
    latent_error: tuple[Mean, ...] = ()
    latent_cosine: tuple[Mean, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {
            "figures": {name: mean._asdict() for name, mean in self.figures.items()},
            "latent_error": [mean._asdict() for mean in self.latent_error],
            "latent_cosine": [mean._asdict() for mean in self.latent_cosine],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ConfigurationResult":
        """The inverse of `as_dict`.

        Raises:
            TypeError, KeyError: these are not the contents of a configuration.
        """
        return cls(
            **dict(data)
            | {
                "traits": tuple(data["traits"]),
                "figures": {name: Mean.from_dict(mean) for name, mean in data["figures"].items()},
                "latent_error": tuple(Mean.from_dict(mean) for mean in data["latent_error"]),
                "latent_cosine": tuple(Mean.from_dict(mean) for mean in data["latent_cosine"]),
            }
        )


def measured(
    configuration: Configuration,
    generation: Generation,
    full: Generation,
    requests: Sequence[ImageRequest],
    figures: Sequence[Figure],
) -> ConfigurationResult:
    """Compare the images of a configuration with those of the full run."""
    prompts = [request.prompt for request in requests]
    each: dict[str, list[float | None]] = {}
    notes = {}
    for figure in figures:
        if isinstance(configuration, Full) and not figure.of_full:
            continue
        try:
            each[figure.name] = list(figure.measure(generation.images, full.images, prompts))
        except NotMeasuredError as reason:
            notes[figure.name] = str(reason)
    means = {name: mean_of(values) for name, values in each.items()}
    relative, cosine = (
        latent_errors(generation.latents, full.latents) if configuration.kind != Full.kind else ((), ())
    )
    cost = generation.cost._asdict()
    if unknown := cost.pop("unknown"):
        notes[MACS] = unknown
    return ConfigurationResult(
        label=configuration.label,
        kind=configuration.kind,
        series=configuration.series,
        traits=configuration.traits if isinstance(configuration, Cached) else (),
        interval=configuration.interval,
        plan=plan_as_dict(configuration.plan) if isinstance(configuration, Cached) else None,
        steps=configuration.steps,
        **cost,
        seconds=generation.seconds,
        identical=np.array_equal(generation.images, full.images),
        figures={name: mean for name, mean in means.items() if mean is not None},
        each=each,
        latent_error=relative,
        latent_cosine=cosine,
        notes=notes,
    )


def latent_errors(
    latents: np.ndarray | None, full: np.ndarray | None
) -> tuple[tuple[Mean, ...], tuple[Mean, ...]]:
    """Per step, over the images: relative error, and cosine; empty where there are no latents."""
    if latents is None or full is None:
        return (), ()
    if len(latents) != len(full):  # steps do not match one by one, but both end at an image
        latents, full = latents[-1:], full[-1:]
    found = [latent_error(ours, theirs) for ours, theirs in zip(latents, full, strict=True)]
    relative = [mean_of(error.relative.tolist()) for error in found]
    cosine = [mean_of(error.cosine.tolist()) for error in found]
    return tuple(mean for mean in relative if mean), tuple(mean for mean in cosine if mean)


@dataclass(frozen=True, repr=False)
class Sweep:
    """A sweep, measured.

    Attributes:
        settings: what every configuration has in common, and what it was measured on.
        figures: of quality, in the order of the columns.
        results: of each configuration, the full run first.
        notes: what there is to say: which figure is missing, and why.
        files: what was written.
    """

    settings: dict[str, Any]
    figures: tuple[Figure, ...]
    results: tuple[ConfigurationResult, ...]
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    def plot(self) -> Any:
        """The Pareto plot, a figure of matplotlib: how much is saved, against how close the images stay."""
        from mmcache.tools.sweeping.plot import pareto_figure  # it plots a sweep, so it knows what one is

        return pareto_figure(self)

    def _repr_html_(self) -> str:
        figures = [one.name for one in self.shown_figures]
        rows = [
            (
                result.label,
                "?" if (ratio := self.fewer_macs(result)) is None else f"{ratio:.2f}x",
                *(f"{result.figures[n].value:.3g}" if n in result.figures else "" for n in figures),
            )
            for result in self.results
        ]
        return block(table(rows, ("configuration", "fewer MACs", *figures)), listed(self.notes))

    def __repr__(self) -> str:
        cheapest = max((ratio for one in self.results if (ratio := self.fewer_macs(one))), default=None)
        upto = "" if cheapest is None else f", up to {cheapest:.2f}x fewer MACs"
        return f"Sweep({len(self.results)} configurations, {self.image_words} each{upto})"

    @property
    def full(self) -> ConfigurationResult:
        """The full run, which all others are compared with."""
        return self.results[0]

    @property
    def image_words(self) -> str:
        """How many images, or videos, each configuration has: 24 images."""
        return counted(
            len(self.settings["seeds"]), "video" if VMAF.name in self.settings["figures"] else "image"
        )

    def fewer_macs(self, result: ConfigurationResult) -> float | None:
        """How many times fewer multiply-adds than the full run; None where they cannot be counted."""
        return self.full.macs / result.macs if self.full.macs and result.macs else None

    def speed_up(self, result: ConfigurationResult) -> float:
        """Of the whole call, against the full run."""
        return self.full.seconds / result.seconds

    def clock_is_doubtful(self, result: ConfigurationResult) -> bool:
        """Whether the saved multiply-adds do not explain the speed-up: the machine was busy elsewhere."""
        fewer = self.fewer_macs(result)
        return fewer is not None and self.speed_up(result) > DOUBTFUL * fewer

    @property
    def shown_figures(self) -> tuple[Figure, ...]:
        """Those that some configuration has."""
        return tuple(
            one for one in self.figures if any(one.name in result.figures for result in self.results)
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON: plain values only."""
        from mmcache.tools.sweeping.recommendation import recommended  # which reads results

        found = recommended(self)
        ratios = [
            {"fewer_macs": self.fewer_macs(result), "speed_up": self.speed_up(result)}
            for result in self.results
        ]
        return {
            "settings": self.settings,
            "lines": [result.as_dict() | ratio for result, ratio in zip(self.results, ratios, strict=True)],
            "recommended": None if found is None else {"label": found.result.label, "why": found.why},
            "notes": list(self.notes),
            "files": [str(path) for path in self.files],
        }

    def as_json(self) -> str:
        """The figures as JSON, without the images."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False, ensure_ascii=False)
