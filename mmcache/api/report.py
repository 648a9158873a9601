"""What a sampling run did: full and cached steps, multiply-adds, seconds, bytes."""

from dataclasses import dataclass
from typing import Any

from mmcache.api.figures import format_bytes, format_macs, speedup, sum_or_none
from mmcache.api.report_markup import part_html, report_html
from mmcache.api.steps import Step

SCHEMA = "mmcache.report/1"  # what `Report.as_dict` has; the number grows when a key changes its meaning


# What can be summed over steps, denoisers and runs; `speedup` is of multiply-adds.
SUMS = (
    *("full_steps", "cached_steps", "cache_misses", "macs", "full_macs", "speedup", "seconds"),
    "bytes_held",
)


@dataclass(frozen=True, repr=False)
class DenoiserReport:
    """What was done for one denoiser (or side network) in a run.

    Attributes:
        name: in the pipeline.
        adapter: what describes it.
        plan: how it was cached, in words.
        steps: its calls.
        silence: why there are none.
    """

    name: str
    adapter: str
    plan: str
    steps: tuple[Step, ...]
    silence: str = "No run yet"

    @property
    def full_steps(self) -> int:
        """Calls that ran the whole denoiser."""
        return sum(step.branch is None for step in self.steps)

    @property
    def cached_steps(self) -> int:
        """Calls that ran less than the whole denoiser."""
        return len(self.steps) - self.full_steps

    @property
    def cache_misses(self) -> int:
        """Full calls that were to be cached: no kept feature fitted."""
        return sum(step.cache_miss for step in self.steps)

    @property
    def seconds(self) -> float:
        """Wall time of all calls."""
        return sum(step.seconds for step in self.steps)

    @property
    def macs(self) -> int | None:
        """Multiply-adds of the run; None where they cannot be counted."""
        return sum_or_none([step.macs for step in self.steps])

    @property
    def full_macs(self) -> int | None:
        """What the run would have taken without caching."""
        return sum_or_none([step.full_macs for step in self.steps])

    @property
    def bytes_held(self) -> int:
        """The most that was held at any time of the run."""
        return max((step.bytes_held for step in self.steps), default=0)

    @property
    def speedup(self) -> float | None:
        """How many times fewer multiply-adds (not seconds) it took than without caching; None if unknown."""
        return speedup(self.macs, self.full_macs)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        about = {"name": self.name, "adapter": self.adapter, "plan": self.plan}
        return (
            about
            | {name: getattr(self, name) for name in SUMS}
            | {"steps": [s.as_dict() for s in self.steps]}
        )

    def summary(self) -> str:
        """unet: 4 full and 6 cached calls, 2.1x fewer MACs, 0.32 s: one line."""
        if not self.steps:
            return f"{self.name}: {self.silence[0].lower()}{self.silence[1:]}"
        misses = f" ({self.cache_misses} of them cache misses)" if self.cache_misses else ""
        fewer = "MACs unknown" if self.speedup is None else f"{self.speedup:.2f}x fewer MACs"
        return (
            f"{self.name}: {self.full_steps} full{misses} and {self.cached_steps} cached calls, {fewer}, "
            f"{self.seconds:.2f} s, at most {format_bytes(self.bytes_held)} held"
        )

    def _repr_html_(self) -> str:
        return part_html(self)

    def __repr__(self) -> str:
        return f"DenoiserReport({self.summary()})"

    def __str__(self) -> str:
        if not self.steps:
            return f"{self.name} ({self.adapter}): {self.plan}. {self.silence}."
        saved = ""
        if self.macs and self.full_macs:
            ratio = self.full_macs / self.macs
            saved = f", {format_macs(self.macs)} of {format_macs(self.full_macs)} MACs ({ratio:.2f}x fewer)"
        lines = [
            f"{self.name} ({self.adapter}): {self.plan}",
            f"  {self.full_steps} full and {self.cached_steps} cached calls{saved}, {self.seconds:.2f} s, "
            f"at most {format_bytes(self.bytes_held)} held",
            "  step lane     time  ran              MACs   seconds      held",
        ]
        for step in self.steps:
            ran = f"{step.ran} (no fitting feature)" if step.cache_miss else str(step.ran)
            macs = "?" if step.macs is None else format_macs(step.macs)
            lines.append(
                f"  {step.step:4d} {step.lane:4d} {step.time:8.1f}  {ran:13s} {macs:>9s} "
                f"{step.seconds:8.4f} s {format_bytes(step.bytes_held):>9s}"
            )
        return "\n".join(lines)


@dataclass(frozen=True, repr=False)
class Report:
    """The last run of a session: a part for each denoiser and side network, and what there is to say."""

    denoisers: tuple[DenoiserReport, ...]
    notes: tuple[str, ...] = ()
    side_networks: tuple[DenoiserReport, ...] = ()

    @property
    def parts(self) -> tuple[DenoiserReport, ...]:
        """Denoisers and side networks."""
        return (*self.denoisers, *self.side_networks)

    @property
    def full_steps(self) -> int:
        """Full calls of the denoisers."""
        return sum(part.full_steps for part in self.denoisers)

    @property
    def cached_steps(self) -> int:
        """Cached calls of the denoisers."""
        return sum(part.cached_steps for part in self.denoisers)

    @property
    def cache_misses(self) -> int:
        """Full calls that were to be cached: no kept feature fitted."""
        return sum(part.cache_misses for part in self.denoisers)

    @property
    def seconds(self) -> float:
        """Wall time of all calls, of side networks too."""
        return sum(part.seconds for part in self.parts)

    @property
    def macs(self) -> int | None:
        """Multiply-adds of all calls, of side networks too; None where they cannot be counted."""
        return sum_or_none([part.macs for part in self.parts])

    @property
    def full_macs(self) -> int | None:
        """What the run would have taken without caching."""
        return sum_or_none([part.full_macs for part in self.parts])

    @property
    def speedup(self) -> float | None:
        """How many times fewer multiply-adds the run took than without caching; None if unknown.

        It is not a ratio of seconds: a report knows one run. `mmcache.compare` measures both.
        """
        return speedup(self.macs, self.full_macs)

    @property
    def bytes_held(self) -> int:
        """Bytes of kept features, each denoiser at its most."""
        return sum(part.bytes_held for part in self.parts)

    def summary(self) -> str:
        """One line: steps, multiply-adds, seconds and bytes of each denoiser and side network."""
        return "; ".join(part.summary() for part in self.parts) or "no denoiser: the pipeline is gone"

    def as_dict(self) -> dict[str, Any]:
        """For JSON: sums first, then what they are sums of.

        `schema` is "mmcache.report/1": keys may be added to it; the number grows if one changes its meaning.
        """
        return {
            "schema": SCHEMA,
            **{name: getattr(self, name) for name in SUMS},
            "denoisers": [part.as_dict() for part in self.denoisers],
            "side_networks": [part.as_dict() for part in self.side_networks],
            "notes": list(self.notes),
        }

    def _repr_html_(self) -> str:
        return report_html(self)

    def __repr__(self) -> str:
        return f"Report({self.summary()})"

    def __str__(self) -> str:
        return "\n".join([*map(str, self.parts), *(f"note: {note}" for note in self.notes)])
