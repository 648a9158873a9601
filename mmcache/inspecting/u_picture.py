"""The picture of a U as a file."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from mmcache.errors import MissingExtraError
from mmcache.inspecting.inspection import Inspection
from mmcache.inspecting.u_drawing import draw
from mmcache.measuring.output_folder import check_output, write_files


def check_picture(file: Path) -> None:
    """Find out beforehand whether a picture can be drawn and written.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ValueError: the file is no PNG by its name.
        OSError: nothing can be written there.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            'drawing needs matplotlib, which is not installed: pip install "mmcache[plot]"'
        ) from None
    if file.suffix.lower() != ".png":
        raise ValueError(f"{file}: the picture is a PNG, so its name has to end in .png")
    check_output(file.parent, (file.name,))


def save_picture(file: Path, found: Sequence[tuple[nn.Module, Inspection]], branch: int) -> list[Path]:
    """Draw each denoiser at a branch; with several, their names are added to the file's.

    Raises:
        ValueError: a denoiser has no such branch, or its blocks form no U that can be drawn.
        MissingExtraError, OSError: as `check_picture` says.
    """
    check_picture(file)
    names = [file.name if len(found) == 1 else f"{file.stem}-{one.name}.png" for _, one in found]
    drawn = [draw(model, one, branch) for model, one in found]
    return write_files(file.parent, dict(zip(names, drawn, strict=True)))
