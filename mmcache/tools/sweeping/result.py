"""What a sweep found out: one record per line, and all of them together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmcache.plans.plan_file import plan_as_dict
from mmcache.tools.comparison.batches import Wanted
from mmcache.tools.comparison.comparison import DOUBTFUL, counted
from mmcache.tools.quality.confidence import Mean, mean_of
from mmcache.tools.quality.latent_error import latent_error
from mmcache.tools.quality.quality import VMAF, Figure, NotMeasuredError
from mmcache.tools.sweeping.drawing import Drawing
from mmcache.tools.sweeping.lines import Cached, Full, Line


@dataclass(frozen=True)
class LineResult:
    """One line, measured.

    Attributes:
        label: names it.
        kind: cached, fewer steps, ...; see `lines`.
        series: lines of one series differ in how much they save.
        traits: policy, forecast and branch, in words; empty without a plan.
        interval: a full step every so many; None where there is no such number.
        plan: the contents of its plan file; None without a plan.
        steps: sampling steps.
        full_calls, cached_calls, macs, bytes_held: as `Cost` says, over all pictures.
        seconds: wall time of the pipeline's calls.
        identical: whether the pictures equal the full run's bit for bit.
        figures: mean of each figure of quality.
        each: the figures picture by picture.
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
    def from_dict(cls, data: Mapping[str, Any]) -> "LineResult":
        """The inverse of `as_dict`.

        Raises:
            TypeError, KeyError: these are not the contents of a line.
        """
        return cls(
            **dict(data)
            | {
                "traits": tuple(data["traits"]),
                "figures": {name: Mean(**mean) for name, mean in data["figures"].items()},
                "latent_error": tuple(Mean(**mean) for mean in data["latent_error"]),
                "latent_cosine": tuple(Mean(**mean) for mean in data["latent_cosine"]),
            }
        )


def measured(
    line: Line, drawing: Drawing, full: Drawing, wanted: Sequence[Wanted], figures: Sequence[Figure]
) -> LineResult:
    """Compare what a line has drawn with what the full run has."""
    prompts = [picture.prompt for picture in wanted]
    each: dict[str, list[float | None]] = {}
    notes = {}
    for figure in figures:
        if isinstance(line, Full) and not figure.of_full:
            continue
        try:
            each[figure.name] = list(figure.measure(drawing.pictures, full.pictures, prompts))
        except NotMeasuredError as reason:
            notes[figure.name] = str(reason)
    means = {name: mean_of(values) for name, values in each.items()}
    relative, cosine = latent_errors(drawing.latents, full.latents) if line.kind != Full.kind else ((), ())
    cost = drawing.cost
    return LineResult(
        label=line.label,
        kind=line.kind,
        series=line.series,
        traits=line.traits if isinstance(line, Cached) else (),
        interval=line.interval,
        plan=plan_as_dict(line.plan) if isinstance(line, Cached) else None,
        steps=line.steps,
        **cost._asdict(),
        seconds=drawing.seconds,
        identical=np.array_equal(drawing.pictures, full.pictures),
        figures={name: mean for name, mean in means.items() if mean is not None},
        each=each,
        latent_error=relative,
        latent_cosine=cosine,
        notes=notes,
    )


def latent_errors(
    latents: np.ndarray | None, full: np.ndarray | None
) -> tuple[tuple[Mean, ...], tuple[Mean, ...]]:
    """Per step, over the pictures: relative error, and cosine; empty where there are no latents."""
    if latents is None or full is None:
        return (), ()
    if len(latents) != len(full):  # steps do not match one by one, but both end at a picture
        latents, full = latents[-1:], full[-1:]
    found = [latent_error(ours, theirs) for ours, theirs in zip(latents, full, strict=True)]
    relative = [mean_of(error.relative.tolist()) for error in found]
    cosine = [mean_of(error.cosine.tolist()) for error in found]
    return tuple(mean for mean in relative if mean), tuple(mean for mean in cosine if mean)


@dataclass(frozen=True)
class Sweep:
    """A sweep, measured.

    Attributes:
        settings: what every line has in common, and what it was measured on.
        figures: of quality, in the order of the columns.
        lines: the full run first.
        notes: what there is to say: which figure is missing, and why.
        files: what was written.
    """

    settings: dict[str, Any]
    figures: tuple[Figure, ...]
    lines: tuple[LineResult, ...]
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def full(self) -> LineResult:
        return self.lines[0]

    @property
    def drawn(self) -> str:
        """How many pictures, or clips, each line has: 24 pictures."""
        return counted(
            len(self.settings["seeds"]), "clip" if VMAF.name in self.settings["figures"] else "picture"
        )

    def fewer_macs(self, line: LineResult) -> float | None:
        """How many times fewer multiply-adds than the full run; None where they cannot be counted."""
        return self.full.macs / line.macs if self.full.macs and line.macs else None

    def speed_up(self, line: LineResult) -> float:
        """Of the whole call, against the full run."""
        return self.full.seconds / line.seconds

    def clock_is_doubtful(self, line: LineResult) -> bool:
        """Whether the saved multiply-adds do not explain the speed-up: the machine was busy elsewhere."""
        fewer = self.fewer_macs(line)
        return fewer is not None and self.speed_up(line) > DOUBTFUL * fewer

    @property
    def shown_figures(self) -> tuple[Figure, ...]:
        """Those that some line has."""
        return tuple(one for one in self.figures if any(one.name in line.figures for line in self.lines))

    def as_dict(self) -> dict[str, Any]:
        """For JSON: plain values only."""
        ratios = [
            {"fewer_macs": self.fewer_macs(line), "speed_up": self.speed_up(line)} for line in self.lines
        ]
        return {
            "settings": self.settings,
            "lines": [line.as_dict() | ratio for line, ratio in zip(self.lines, ratios, strict=True)],
            "notes": list(self.notes),
            "files": [str(path) for path in self.files],
        }

    def as_json(self) -> str:
        return json.dumps(self.as_dict(), indent=2, allow_nan=False, ensure_ascii=False)
