"""Drawings of denoisers as files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from mmcache.tools.inspecting.drawing import draw
from mmcache.tools.inspecting.inspection import Inspection
from mmcache.tools.inspecting.similarity import Similarity
from mmcache.tools.inspecting.similarity_drawing import draw_similarity
from mmcache.tools.media.output_folder import check_output, write_files
from mmcache.tools.media.plots import require_matplotlib


def check_picture(file: Path) -> None:
    """Find out beforehand whether an image can be drawn and written.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ValueError: the file is no PNG by its name.
        OSError: nothing can be written there.
    """
    require_matplotlib()
    if file.suffix.lower() != ".png":
        raise ValueError(f"{file}: the image is a PNG, so its name has to end in .png")
    check_output(file.parent, (file.name,))


def save_picture(file: Path, found: Sequence[tuple[nn.Module, Inspection]], branch: int) -> list[Path]:
    """Draw each denoiser at a branch; with several, their names are added to the file's.

    Raises:
        ValueError: a denoiser has no such branch, or its blocks form no U and no stack that can be drawn.
        MissingExtraError, OSError: as `check_picture` says.
    """
    check_picture(file)
    return save_each(file, {one.name: draw(model, one, branch) for model, one in found})


def save_similarity(file: Path, found: Sequence[Similarity]) -> list[Path]:
    """Draw how alike the features of each denoiser are; with several, their names are added to the file's.

    Raises:
        MissingExtraError, OSError: as `check_picture` says.
    """
    check_picture(file)
    return save_each(file, {one.name: draw_similarity(one) for one in found})


def save_each(file: Path, drawn: Mapping[str, bytes]) -> list[Path]:
    """Write an image for each denoiser, by its name."""
    names = {name: file.name if len(drawn) == 1 else f"{file.stem}-{name}.png" for name in drawn}
    return write_files(file.parent, {names[name]: content for name, content in drawn.items()})
