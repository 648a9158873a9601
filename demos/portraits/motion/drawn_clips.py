"""Draws clips of moving portraits, and encodes them."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import resvg_py
import torch
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from mmcache_demos.portraits.attributes import BACKGROUNDS, Portrait
from mmcache_demos.portraits.autoencoder import encode
from mmcache_demos.portraits.drawing import SIZE, WHOLE_VIEW, _avatar
from mmcache_demos.portraits.motion.clips import Clip, clips
from mmcache_demos.portraits.motion.motions import FRAMES, MOTIONS, Pose

# Twice the view of `drawing.CLOSE_VIEW` in each direction, at twice its resolution: poses look beyond it.
WIDE_VIEW = 'width="256" height="256" viewBox="-114 -103 492 492"'
WIDE = 4 * SIZE
ART_ENDS = 198  # the last row of the wide view that the artwork fills


def draw_clip(clip: Clip, frames: int = FRAMES) -> np.ndarray:
    """The frames as uint8 of shape (frames, 64, 64, 3), about 20 ms."""
    wide, motion = _wide_picture(clip.portrait), MOTIONS[clip.motion]
    return np.stack([np.asarray(_posed(wide, motion.pose(index / (frames - 1)))) for index in range(frames)])


def _wide_picture(portrait: Portrait) -> Image.Image:
    png = resvg_py.svg_to_bytes(
        svg_string=_avatar(portrait).render().replace(WHOLE_VIEW, WIDE_VIEW),
        background=BACKGROUNDS[portrait.background],
        width=WIDE,
        height=WIDE,
        skip_system_fonts=True,
    )
    pixels = np.array(Image.open(io.BytesIO(bytes(png))).convert("RGB"))
    pixels[ART_ENDS + 1 :] = pixels[ART_ENDS]  # the body goes on below the artwork's edge
    return Image.fromarray(pixels)


def _posed(wide: Image.Image, pose: Pose) -> Image.Image:
    """The picture (64, 64) that shows the portrait of a wide picture in a pose."""
    # Where in the wide picture each place of the view comes from: the inverse of the pose.
    scale = 1 / pose.zoom
    from_left = WIDE / 2 - scale * (SIZE + 2 * pose.right)
    from_top = WIDE / 2 - scale * (SIZE + 2 * pose.down)
    inverse = (scale, 0.0, from_left, 0.0, scale, from_top)
    view = (2 * SIZE, 2 * SIZE)
    return wide.transform(view, Image.Transform.AFFINE, inverse, Image.Resampling.BICUBIC).reduce(2)


def encoded_clips(split: str, count: int, vae: AutoencoderKL, folder: Path) -> torch.Tensor:
    """Latents (count, 4, frames, 16, 16) of a split, encoded unless `folder` already holds them."""
    stored = folder / f"{split}-{count}.safetensors"
    if not stored.exists():
        folder.mkdir(parents=True, exist_ok=True)
        latents = [encode_clip(vae, clip) for clip in tqdm(clips(split, count), f"encoding {split} clips")]
        unfinished = stored.with_suffix(".unfinished")
        save_file({"latents": torch.stack(latents)}, unfinished)
        unfinished.replace(stored)
    return load_file(stored)["latents"]


def encode_clip(vae: AutoencoderKL, clip: Clip) -> torch.Tensor:
    """The latents of a clip, (4, frames, 16, 16), as the miniature's autoencoder scales them."""
    return vae.config["scaling_factor"] * encode(vae, draw_clip(clip)).transpose(0, 1).contiguous()


def strip(clips_of_frames: Sequence[np.ndarray], enlarge: int = 1) -> Image.Image:
    """A sheet with a clip (frames, 64, 64, 3) in every row."""
    sheet = Image.fromarray(np.concatenate([np.concatenate(frames, axis=1) for frames in clips_of_frames]))
    return sheet.resize((sheet.width * enlarge, sheet.height * enlarge), Image.Resampling.NEAREST)
