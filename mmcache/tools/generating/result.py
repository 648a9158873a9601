"""What became of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ManyResult:
    """What became of a run.

    Attributes:
        total: images of the file, or of the shard.
        were_there: those that were done before.
        done: those that are there now.
        failed: those that were given up; they stand in the errors file with their reasons.
        left: those that nobody tried, since the run was stopped or no worker was left.
        seconds: of the run.
        signal: that stopped it; 0 for none.
        out: the folder.
        errors: the errors file; None if nothing failed.
        reports: the sums of all images' reports.
    """

    total: int
    were_there: int
    done: int
    failed: int
    left: int
    seconds: float
    signal: int
    out: Path
    errors: Path | None
    reports: Mapping[str, Any]

    @property
    def nothing_to_do(self) -> bool:
        """Whether every file was there before the run."""
        return self.were_there == self.total

    @property
    def exit_code(self) -> int:
        """0 if everything is there; 1 if something failed or is left; 128 and the signal that stopped it."""
        if self.signal:
            return 128 + self.signal
        return 1 if self.failed or self.left else 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        made = self.done - self.were_there
        rate = made / self.seconds if made and self.seconds else None
        names = ("total", "were_there", "done", "failed", "left", "seconds")
        return {
            **{name: getattr(self, name) for name in names},
            "items_per_second": rate,
            "complete": self.done == self.total,
            "reports": dict(self.reports),
        }

    def __str__(self) -> str:
        if self.nothing_to_do:
            return f"nothing to do: all {self.total} images are in {self.out}"
        lines = [
            f"{self.done} of {self.total} images are in {self.out} ({self.were_there} were there before), "
            f"{self.seconds:.1f} s"
        ]
        if fewer := self.reports.get("fewer_macs"):
            steps = "{full_steps} full and {cached_steps} cached steps".format(**self.reports)
            lines.append(f"{steps}, {fewer:.2f}x fewer multiply-adds than without a cache")
        if self.failed:
            lines.append(
                f"{self.failed} failed: {self.errors} has their reasons; the same command tries again"
            )
        if self.left:
            lines.append(f"{self.left} are left: the same command goes on from here")
        return "\n".join(lines)
