"""What shows mmcache at work: trained miniature pipelines, and the programs that made them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from mmcache.errors import unknown_name

GUIDANCE_SCALE = 3.0  # at which the miniatures draw best; pipelines' own default is made for larger models
MINIATURES = Path(__file__).parent / "miniatures"
WHOLE = "text-to-image"  # the miniature whose folder has every part; the others lend from it


class Part(NamedTuple):
    """A trained part of a pipeline: its class, the folder below its miniature's, and the class's library."""

    kind: str
    subfolder: str = ""
    library: str = "diffusers"

    def load(self, folder: Path, **options: Any) -> Any:
        """The part from the folder of its miniature.

        Raises:
            RuntimeError: the library did not find all weights in the file. It would go on with random ones.
        """
        library = import_module(self.library)
        part, found = getattr(library, self.kind).from_pretrained(
            folder, subfolder=self.subfolder, output_loading_info=True, **options
        )
        if missing := sorted(found["missing_keys"]):
            raise RuntimeError(
                f"{self.library} {library.__version__} finds no {len(missing)} weights of {self.kind} in "
                f"{folder / self.subfolder} (first: {missing[0]}): reinstall mmcache-demos or {self.library}"
            )
        return part


@dataclass(frozen=True)
class Miniature:
    """A shipped pipeline: its class in diffusers, and the parts that are its own.

    All its other parts are those of the text-to-image miniature, and are not stored again.

    Attributes:
        without: parts that its pipeline can have and that it has not.
        call: what its pipeline has to be called with, since its own defaults are made for larger models.
    """

    pipeline: str
    parts: Mapping[str, Part] = field(default_factory=lambda: MappingProxyType({}))
    without: tuple[str, ...] = ()
    call: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


TEXT_ENCODER = Part("CLIPTextModel", subfolder="text_encoder", library="transformers")
SHIPPED = {
    WHOLE: Miniature("StableDiffusionPipeline"),
    "inpainting": Miniature(
        "StableDiffusionInpaintPipeline", {"unet": Part("UNet2DConditionModel", subfolder="unet")}
    ),
    "controlnet": Miniature("StableDiffusionControlNetPipeline", {"controlnet": Part("ControlNetModel")}),
    "text-to-video": Miniature(
        "AnimateDiffPipeline",
        {
            "unet": Part("UNetMotionModel", subfolder="unet"),
            "text_encoder": TEXT_ENCODER,
        },
        without=("motion_adapter",),  # its modules are in the U-Net, which was trained with them
    ),
    "transformer": Miniature(
        "PixArtAlphaPipeline",
        {
            "transformer": Part("PixArtTransformer2DModel", subfolder="transformer"),
            "text_encoder": Part("T5EncoderModel", subfolder="text_encoder", library="transformers"),
        },
        call={
            "use_resolution_binning": False,  # PixArt's own sizes begin at 256 pixels
            "clean_caption": False,  # it would want two more packages, for captions from web pages
            "max_sequence_length": 40,  # longer than every caption; what is behind them is masked anyway
        },
    ),
}


def miniature_folder(name: str) -> Path:
    """Where the miniature of this name is, or will be once it is trained."""
    return MINIATURES / name


def miniature(name: str = WHOLE) -> Path:
    """The folder of a shipped miniature, for `from_pretrained`.

    That of "text-to-image" holds a whole pipeline, the others only what `SHIPPED` lists as their own parts:
    `ControlNetModel.from_pretrained(miniature("controlnet"))`. `load_miniature` puts pipelines together.

    Raises:
        ValueError: no such miniature comes with this version; the message names those that do.
    """
    if name not in SHIPPED or not miniature_folder(name).exists():
        known = sorted(name for name in SHIPPED if miniature_folder(name).exists())
        raise ValueError(unknown_name("miniature", name, known))
    return miniature_folder(name)


def load_miniature(name: str = WHOLE, **options: Any) -> Any:
    """A shipped miniature as a ready pipeline of diffusers, of the class that its entry in `SHIPPED` names.

    Args:
        name: a key of `SHIPPED`.
        options: for the pipeline's `from_pretrained`; `torch_dtype` or `dtype` is for its own parts too.

    Raises:
        ValueError: no such miniature comes with this version; the message names those that do.
        RuntimeError: the installed libraries do not find all weights in a miniature's files.
    """
    import diffusers  # takes seconds, and most users of this module only ask for a folder

    folder = miniature(name)
    shipped = SHIPPED[name]
    precision = {name: options[name] for name in ("torch_dtype", "dtype") if name in options}
    sources = {"text_encoder": (TEXT_ENCODER, miniature(WHOLE))}
    sources |= {role: (part, folder) for role, part in shipped.parts.items()}
    own = {
        role: part.load(source, **precision)
        for role, (part, source) in sources.items()
        if role not in options
    }
    own |= {role: None for role in shipped.without if role not in options}
    return getattr(diffusers, shipped.pipeline).from_pretrained(miniature(WHOLE), **own, **options)
