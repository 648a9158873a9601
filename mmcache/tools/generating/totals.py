"""summary.json: the reports of all images, added up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ADDED = ("full_steps", "cached_steps", "macs", "full_macs", "seconds")


@dataclass
class Totals:
    """Sums over images.

    Attributes:
        done: images that are there.
        sums: of their reports.
        uncounted: images whose multiply-adds are not known.
        bytes_held: the most that any of them held of cached features.
        bytes_written: of all files of images.
    """

    done: int = 0
    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(ADDED, 0))
    uncounted: int = 0
    bytes_held: int = 0
    bytes_written: int = 0

    def add(self, sidecar: Mapping[str, Any]) -> None:
        """Add the image of a sidecar."""
        report = sidecar.get("report") or {}
        self.done += 1
        self.bytes_written += sidecar.get("bytes", 0)
        self.bytes_held = max(self.bytes_held, report.get("bytes_held") or 0)
        known = report.get("macs") is not None and report.get("full_macs") is not None
        self.uncounted += not known
        for name in ADDED:
            if known or "macs" not in name:
                self.sums[name] += report.get(name) or 0

    def plus(self, other: "Totals") -> "Totals":
        """Of both."""
        return Totals(
            self.done + other.done,
            {name: self.sums[name] + other.sums[name] for name in ADDED},
            self.uncounted + other.uncounted,
            max(self.bytes_held, other.bytes_held),
            self.bytes_written + other.bytes_written,
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON. Multiply-adds are of those images for which they are known."""
        macs, full = self.sums["macs"], self.sums["full_macs"]
        return {
            "done": self.done,
            **{name: plain(self.sums[name]) for name in ADDED},
            "macs_saved": plain(full - macs),
            "fewer_macs": round(full / macs, 3) if macs else None,
            "macs_unknown": self.uncounted,
            "bytes_held": self.bytes_held,
            "bytes_written": self.bytes_written,
        }


def plain(value: float) -> float:
    return int(value) if float(value).is_integer() else round(value, 6)
