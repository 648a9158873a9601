"""Runs a pipeline for calibration: always the same prompts from the same noise, in full or by a plan."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmcache.api.accelerate import accelerate
from mmcache.api.report import Report
from mmcache.plans.plan import Plan
from mmcache.tools.comparison.batches import Wanted, arguments_for, batches
from mmcache.tools.comparison.compare import own_progress_bar, pictures_of

BEST_DB = 120.0  # identical pictures are infinitely close, and a mean needs a number


@dataclass(eq=False)
class Trials:
    """A pipeline with prompts, seeds and settings, and what it draws of them in full.

    Attributes:
        pipe: the pipeline; between two runs it is what its owner made it.
        wanted: the pictures (or clips), each with its prompt and seed.
        settings: all other arguments of the call.
        batch: so many prompts at once.
        after_run: called after every run, for a progress bar.
        count: how many runs there were.
    """

    pipe: Any
    wanted: Sequence[Wanted]
    settings: Mapping[str, Any]
    batch: int
    after_run: Callable[[], object] = lambda: None
    count: int = 0
    _full: np.ndarray | None = field(default=None, repr=False)

    @property
    def full(self) -> np.ndarray:
        """What is drawn without caching, (N, H, W, C) or (N, F, H, W, C), in [0, 1]."""
        if self._full is None:
            self._full = self.draw()
        return self._full

    def draw(self) -> np.ndarray:
        """Run the pipe as it is."""
        self.count += 1
        drawn = []
        with own_progress_bar(self.pipe):
            self.pipe.set_progress_bar_config(disable=True)
            for part in batches(self.pipe, self.wanted, self.batch):
                call = {**self.settings, **arguments_for(self.pipe, part, self.settings)}
                drawn.append(pictures_of(self.pipe, self.pipe(**call, output_type="np")))
        self.after_run()
        return np.concatenate(drawn)

    def by_plan(self, plan: Plan) -> np.ndarray:
        """Run it by a plan."""
        return self.by_plan_with_report(plan)[0]

    def by_plan_with_report(self, plan: Plan) -> tuple[np.ndarray, Report]:
        """The same, and what the last batch cost."""
        with accelerate(self.pipe, plan) as session:
            return self.draw(), session.report()

    def decibels(self, plan: Plan) -> np.ndarray:
        """PSNR in dB of each picture drawn by a plan to the full one."""
        return self.distance(self.by_plan(plan))

    def distance(self, pictures: np.ndarray) -> np.ndarray:
        """PSNR in dB of each picture to the full one, data range 1."""
        axes = tuple(range(1, pictures.ndim))
        squares = np.square(pictures.astype(np.float64) - self.full).mean(axis=axes)
        return np.minimum(-10 * np.log10(squares.clip(min=1e-20)), BEST_DB)
