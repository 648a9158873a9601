"""The interactive page of a sweep: one HTML file with every line's pictures in it, and nothing else."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from mmcache.tools.comparison.comparison import png
from mmcache.tools.sweeping.points import counts_macs, looks
from mmcache.tools.sweeping.result import LineResult, Sweep
from mmcache.tools.sweeping.table import cells, explanation, headings

TEMPLATE = Path(__file__).with_suffix(".html")
PLACE = "__DATA__"
MACS, SECONDS = "fewer_macs", "speed_up"


def page(sweep: Sweep, strip_of: Callable[[str], Image.Image]) -> str:
    """The page's text.

    Args:
        sweep: what was measured.
        strip_of: the first pictures of a line by its label, in a row.
    """
    data = json.dumps(page_data(sweep, strip_of), ensure_ascii=False, allow_nan=False)
    # A prompt or note may hold "</script>", which would end the block.
    return TEMPLATE.read_text(encoding="utf-8").replace(PLACE, data.replace("<", "\\u003c"))


def page_data(sweep: Sweep, strip_of: Callable[[str], Image.Image]) -> dict[str, Any]:
    """What the page's own program draws from."""
    across = [{"key": SECONDS, "title": "speed-up of the whole call"}]
    if counts_macs(sweep):
        across.insert(0, {"key": MACS, "title": "times fewer multiply-adds"})
    return {
        "about": explanation(sweep),
        "headings": headings(sweep),
        "x": across,
        "y": [
            {
                "key": figure.name,
                "title": figure.title,
                "digits": figure.digits,
                "higher": figure.higher_is_better,
                "of_full": figure.of_full,
            }
            for figure in sweep.shown_figures
        ],
        "looks": {series: look._asdict() for series, look in looks(sweep).items()},
        "lines": [line_data(sweep, line, strip_of(line.label)) for line in sweep.lines],
    }


def line_data(sweep: Sweep, line: LineResult, strip: Image.Image) -> dict[str, Any]:
    return {
        "label": line.label,
        "series": line.series,
        "interval": line.interval,
        "x": {MACS: sweep.fewer_macs(line), SECONDS: sweep.speed_up(line)},
        "y": {name: [mean.value, mean.margin] for name, mean in line.figures.items()},
        "cells": cells(sweep, line),
        "strip": "data:image/png;base64," + base64.b64encode(png(strip)).decode(),
    }
