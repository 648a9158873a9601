"""What shows mmcache at work: trained miniature pipelines, and the programs that made them."""

from pathlib import Path

GUIDANCE_SCALE = 3.0  # at which the miniatures draw best; pipelines' own default is made for larger models
MINIATURES = Path(__file__).parent / "miniatures"


def miniature_folder(name: str) -> Path:
    """Where the miniature of this name is, or will be once it is trained."""
    return MINIATURES / name


def miniature(name: str = "text-to-image") -> Path:
    """The folder of a shipped miniature, for `from_pretrained`.

    Raises:
        ValueError: no such miniature comes with this version; the message names those that do.
    """
    folder = miniature_folder(name)
    if not (folder / "model_index.json").exists():
        known = sorted(index.parent.name for index in MINIATURES.glob("*/model_index.json"))
        raise ValueError(f"there is no miniature {name!r}; mmcache comes with: {', '.join(known) or 'none'}")
    return folder
