"""Packages that a command needs, looked for before torch is imported."""

from importlib.util import find_spec

from mmcache.errors import MissingExtraError

METRICS = 'PSNR and SSIM need torchmetrics, which is not installed: pip install "mmcache[metrics]"'


def require_packages(*, metrics: bool = True, video: bool = False, plots: bool = False) -> None:
    """Find out whether everything can be measured, plotted and written.

    Raises:
        MissingExtraError: a package is missing.
    """
    from mmcache.tools.media.ffmpeg import require_ffmpeg
    from mmcache.tools.media.plots import require_matplotlib

    if metrics and find_spec("torchmetrics") is None:
        raise MissingExtraError(METRICS)
    if plots:
        require_matplotlib()
    if video:
        require_ffmpeg()
