"""What a config leaves open of a call: how many latents, how large, how many words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """None stands for what is usual: see `Typical` for transformers, `example_call` for U-Nets.

    Attributes:
        batch: latents in one call; with classifier-free guidance in one batch, two for each picture.
        frames: of a clip, as one sees them; of a sound, its latents.
        height, width: of a picture or frame in pixels; for transformers only.
        tokens: of the text.
    """

    batch: int = 1
    frames: int | None = None
    height: int | None = None
    width: int | None = None
    tokens: int | None = None


USUAL = Size()
