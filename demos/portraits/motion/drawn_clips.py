"""Draws clips of moving portraits, and encodes them."""

import io
import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import resvg_py
import torch
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from mmcache_demos.portraits.attributes import BACKGROUNDS, SIZE, Portrait
from mmcache_demos.portraits.autoencoder import encode
from mmcache_demos.portraits.drawing import WHOLE_VIEW, avatar
from mmcache_demos.portraits.motion.clips import Clip, clips
from mmcache_demos.portraits.motion.motions import FRAMES, MOTIONS, POSED_SIZE, Pose

# Twice the view of `drawing.CLOSE_VIEW` in each direction, at twice its resolution: poses look beyond it.
WIDE = 4 * SIZE
WIDE_VIEW = f'width="{WIDE}" height="{WIDE}" viewBox="-114 -103 492 492"'
ENCODED_TOGETHER = 32  # clips
ART_ENDS = round(198 / 256 * WIDE)  # the last row of the wide view that the artwork fills


def draw_clip(clip: Clip, frames: int = FRAMES) -> np.ndarray:
    """The frames as uint8 of shape (frames, 128, 128, 3), about 20 ms."""
    wide, motion = _wide_picture(clip.portrait), MOTIONS[clip.motion]
    return np.stack([np.asarray(_posed(wide, motion.pose(index / (frames - 1)))) for index in range(frames)])


def _wide_picture(portrait: Portrait) -> Image.Image:
    png = resvg_py.svg_to_bytes(
        svg_string=avatar(portrait).render().replace(WHOLE_VIEW, WIDE_VIEW),
        background=BACKGROUNDS[portrait.background],
        width=WIDE,
        height=WIDE,
        skip_system_fonts=True,
    )
    pixels = np.array(Image.open(io.BytesIO(bytes(png))).convert("RGB"))
    pixels[ART_ENDS + 1 :] = pixels[ART_ENDS]  # the body goes on below the artwork's edge
    return Image.fromarray(pixels)


def _posed(wide: Image.Image, pose: Pose) -> Image.Image:
    """The image (128, 128) that shows the portrait of a wide picture in a pose."""
    # Where in the wide picture each place of the view comes from: the inverse of the pose.
    scale, moved = 1 / pose.zoom, 2 * SIZE / POSED_SIZE
    from_left = WIDE / 2 - scale * (SIZE + moved * pose.right)
    from_top = WIDE / 2 - scale * (SIZE + moved * pose.down)
    inverse = (scale, 0.0, from_left, 0.0, scale, from_top)
    view = (2 * SIZE, 2 * SIZE)
    return wide.transform(view, Image.Transform.AFFINE, inverse, Image.Resampling.BICUBIC).reduce(2)


def drawn_clips(split: str, count: int, folder: Path) -> np.ndarray:
    """Frames (count, frames, 128, 128, 3) of a split, rendered unless `folder` already holds them."""
    stored = folder / f"{split}-{count}-{SIZE}px.npy"
    if not stored.exists():
        folder.mkdir(parents=True, exist_ok=True)
        frames = np.empty((count, FRAMES, SIZE, SIZE, 3), np.uint8)
        # spawn: forking a process that has used torch's threads can hang.
        with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
            drawn = pool.imap(draw_clip, clips(split, count), chunksize=16)
            for index, clip in enumerate(tqdm(drawn, f"rendering {split} clips", total=count)):
                frames[index] = clip
        unfinished = stored.with_suffix(".unfinished.npy")
        np.save(unfinished, frames)
        unfinished.replace(stored)
    return np.load(stored, mmap_mode="r")


def encoded_clips(split: str, count: int, vae: AutoencoderKL, folder: Path) -> torch.Tensor:
    """Latents (count, 4, frames, 16, 16) of a split, encoded unless `folder` already holds them."""
    stored = folder / f"{split}-{count}-{SIZE}px.safetensors"
    if not stored.exists():
        frames = drawn_clips(split, count, folder)
        parts = []
        for start in tqdm(range(0, count, ENCODED_TOGETHER), f"encoding {split} clips"):
            some = frames[start : start + ENCODED_TOGETHER]
            parts.append(encode(vae, some.reshape(-1, SIZE, SIZE, 3)).unflatten(0, some.shape[:2]))
        latents = torch.cat(parts).transpose(1, 2)
        unfinished = stored.with_suffix(".unfinished")
        save_file({"latents": (vae.config["scaling_factor"] * latents).contiguous()}, unfinished)
        unfinished.replace(stored)
    return load_file(stored)["latents"]


def strip(clips_of_frames: Sequence[np.ndarray], enlarge: int = 1) -> Image.Image:
    """A sheet with a clip (frames, 128, 128, 3) in every row."""
    sheet = Image.fromarray(np.concatenate([np.concatenate(frames, axis=1) for frames in clips_of_frames]))
    return sheet.resize((sheet.width * enlarge, sheet.height * enlarge), Image.Resampling.NEAREST)
