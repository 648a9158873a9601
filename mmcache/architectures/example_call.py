"""An example call of a denoiser, from its config alone: what `mmcache inspect` counts multiply-adds of."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from mmcache.architectures.shapes import ShapeReader

LATENT = "b in_channels h w"
VIDEO_LATENT = "b in_channels f h w"
PACKED = "b h*w in_channels"  # a token for each patch of 2x2


@dataclass(frozen=True)
class Size:
    """What a config leaves open of a call; None stands for what is usual of the class.

    Attributes:
        batch: latents in one call; with classifier-free guidance in one batch, two for each image.
        frames: of a video, as one sees them; of a sound, its latents.
        height, width: of an image or frame in pixels; for transformers only.
        tokens: of the text.
    """

    batch: int = 1
    frames: int | None = None
    height: int | None = None
    width: int | None = None
    tokens: int | None = None


USUAL = Size()


class ExampleCall(Protocol):
    """Data from which the arguments of a usual call of a model class are made."""

    def arguments(self, config: Mapping[str, Any], size: Size) -> dict[str, Any]:
        """The arguments by name, most of them on the meta device.

        Raises:
            ValueError: no model of this config has the size.
        """
        ...

    def stands_for(self, config: Mapping[str, Any], size: Size) -> str:
        """The image, video or sound that the call is for, in words; "" where the shapes show it."""
        ...


class Seen(NamedTuple):
    """The size of what is generated; 0 for what the class does not have."""

    frames: int
    height: int
    width: int
    tokens: int


@dataclass(frozen=True)
class TransformerCall:
    """A usual call of a class of transformer, as data.

    The letters in its shapes: b latents; f, h and w the frames, rows and columns of a latent as the
    transformer is given them; t tokens of text.

    Attributes:
        shapes: by argument; words, or lists, tuples and tables of words (`mmcache.architectures.shapes`).
        pixels: height and width of the image or frame, one word for a square; "" for what has none.
        frames: of a video; of a sound, its latents; "0" for an image.
        tokens: of the text; "0" without text.
        across: pixels to a row or column of what the transformer is given: its autoencoder's factor, twice as
            many where the pipeline makes patches of 2x2 beforehand.
        along: frames to one of a latent; the first has one of its own.
    """

    shapes: Mapping[str, Any]
    pixels: str = "1024"
    frames: str = "0"
    tokens: str = "0"
    across: int = 8
    along: int = 4

    def arguments(self, config: Mapping[str, Any], size: Size) -> dict[str, Any]:
        """The arguments by name.

        Raises:
            ValueError: the size is none that this class can have.
        """
        seen = self._seen(config, size)
        letters = {
            "b": size.batch,
            "f": (seen.frames - 1) // self.along + 1 if seen.frames else 1,
            "h": seen.height // self.across,
            "w": seen.width // self.across,
            "t": seen.tokens,
        }
        return ShapeReader(config, letters).arguments(self.shapes)

    def stands_for(self, config: Mapping[str, Any], size: Size) -> str:
        """A video of 81 frames of 480x832 pixels, 512 tokens of text."""
        frames, height, width, tokens = self._seen(config, size)
        pixels = f"{height}x{width} pixels"
        if height and frames:
            shown = f"a video of {frames} frames of {pixels}"
        else:
            shown = f"an image of {pixels}" if height else f"a sound of {frames} latents" if frames else ""
        return ", ".join(part for part in (shown, f"{tokens} tokens of text" if tokens else "") if part)

    def _seen(self, config: Mapping[str, Any], size: Size) -> Seen:
        sides = self.pixels.split() or ["0"]
        read = ShapeReader(config, {})
        usual = [read.number(word) for word in (self.frames, sides[0], sides[-1], self.tokens)]
        wanted = (size.frames, size.height, size.width, size.tokens)
        seen = Seen(*(one if one and has else has for one, has in zip(wanted, usual, strict=True)))
        for name, pixels in (("height", seen.height), ("width", seen.width)):
            if pixels % self.across:
                raise ValueError(f"{name}={pixels}: wanted a multiple of {self.across} pixels")
        return seen


NOTHING_MORE: Mapping[str, Any] = MappingProxyType({})


def transformer_call(
    latent: str = LATENT,
    text: str = "",
    mask: str = "",
    more: Mapping[str, Any] = NOTHING_MORE,
    **usual: Any,
) -> TransformerCall:
    """A call with the arguments that most transformers take.

    Args:
        latent: the shape of `hidden_states`.
        text: the words behind "b t" in the shape of `encoder_hidden_states`; "" for a class that takes none.
        mask: what `encoder_attention_mask` holds, "long", "bool" or "ones"; "" for a class that takes none.
        more: further arguments and their shapes, or other shapes for these.
        **usual: `pixels`, `frames`, `tokens`, `across` and `along` of a `TransformerCall`.
    """
    shapes: dict[str, Any] = {"hidden_states": latent, "timestep": "b"}
    if text:
        shapes["encoder_hidden_states"] = f"b t {text}"
    if mask:
        shapes["encoder_attention_mask"] = f"{mask} b t"
    return TransformerCall({**shapes, **more}, **usual)
