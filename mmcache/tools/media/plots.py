"""Plots by matplotlib."""

import io
from typing import Any

from mmcache.errors import MissingExtraError

DPI = 130


def require_matplotlib() -> None:
    """Find out beforehand whether plots can be made.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            'drawing needs matplotlib, which is not installed: pip install "mmcache[plot]"'
        ) from None


def empty_canvas(**settings: Any) -> Any:
    """A figure of matplotlib that needs no screen.

    Args:
        **settings: of `matplotlib.figure.Figure`.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = Figure(**settings)
    FigureCanvasAgg(canvas)
    return canvas


def png_bytes(canvas: Any) -> bytes:
    """The same bytes for the same plot."""
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
