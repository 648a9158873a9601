"""The interactive page of a sweep: one HTML file with every line's images in it, and nothing else."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from mmcache.tools.media.side_by_side import png
from mmcache.tools.sweeping.points import counts_macs, looks
from mmcache.tools.sweeping.result import ConfigurationResult, Sweep
from mmcache.tools.sweeping.table import cells, explanation, headings

TEMPLATE = Path(__file__).with_suffix(".html")
PLACE = "__DATA__"
MACS, SECONDS = "fewer_macs", "speed_up"


def page(sweep: Sweep, strip_of: Callable[[str], Image.Image]) -> str:
    """The page's text.

    Args:
        sweep: what was measured.
        strip_of: the first images of a configuration by its label, in a row.
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
        "lines": [result_data(sweep, result, strip_of(result.label)) for result in sweep.results],
    }


def result_data(sweep: Sweep, result: ConfigurationResult, strip: Image.Image) -> dict[str, Any]:
    return {
        "label": result.label,
        "series": result.series,
        "interval": result.interval,
        "x": {MACS: sweep.fewer_macs(result), SECONDS: sweep.speed_up(result)},
        "y": {name: [mean.value, mean.margin] for name, mean in result.figures.items()},
        "cells": cells(sweep, result),
        "strip": "data:image/png;base64," + base64.b64encode(png(strip)).decode(),
    }
