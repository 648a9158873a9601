"""python -m mmcache.demos.portraits.motion.train: draws clips and trains the text-to-video miniature on them.

Run it again after it was stopped: every stage goes on from its last checkpoint.
"""

import copy
from pathlib import Path
from typing import Annotated

import torch
import typer
from diffusers import AutoencoderKL, MotionAdapter, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from mmcache.demos import miniature
from mmcache.demos.portraits.models import noise_scheduler, tokenize
from mmcache.demos.portraits.motion.animation import animation_loss
from mmcache.demos.portraits.motion.clips import backwards, clips, encoded_clips
from mmcache.demos.portraits.motion.models import motion_adapter, save_video_parts, with_motion
from mmcache.demos.portraits.motion.words import words_loss
from mmcache.demos.portraits.training import Recipe, train


def main(
    work: Annotated[Path, typer.Option(help="Folder for clips and checkpoints.")] = Path("runs/motion"),
    out: Annotated[
        Path | None, typer.Option(help="Folder of the exported parts; default: in the work folder.")
    ] = None,
    count: Annotated[int, typer.Option(min=16, help="Clips to draw.")] = 840,
    iterations: Annotated[int, typer.Option(min=1, help="Of the motion modules.")] = 2_400,
    seed: int = 0,
) -> None:
    """Draw clips, train the text-to-video miniature on them, and export it."""
    base = miniature("text-to-image")
    latents = encoded_clips(
        "train", count, AutoencoderKL.from_pretrained(base, subfolder="vae"), work / "clips"
    )
    drawn = clips("train", count)
    tokens = CLIPTokenizer.from_pretrained(base, subfolder="tokenizer")
    known_text = CLIPTextModel.from_pretrained(base, subfolder="text_encoder").requires_grad_(False)

    text = copy.deepcopy(known_text).requires_grad_(True)
    loss = words_loss(text, known_text, tokens, drawn)
    words = Recipe(300, learning_rate=2e-3, warmup=20, ema=0.98, seed=seed)
    text.load_state_dict(train(text, loss, words, work / "words.ckpt").state_dict())

    reverse = [backwards(clip) for clip in drawn]
    torch.manual_seed(seed)
    adapter = motion_adapter()
    unet = with_motion(UNet2DConditionModel.from_pretrained(base, subfolder="unet"), adapter)
    unet.requires_grad_(False)
    adapter.requires_grad_(True)
    loss = animation_loss(
        unet,
        text,
        noise_scheduler(),
        latents,
        torch.stack([tokenize(tokens, [clip.text for clip in way]) for way in (drawn, reverse)], dim=1),
        tokenize(tokens, [""])[0],
    )
    out = out or work / "text-to-video"

    def export(averaged: MotionAdapter, step: int) -> None:
        save_video_parts(out, averaged, text)

    animation = Recipe(iterations, learning_rate=1e-3, warmup=30, fall=0.3, ema=0.99, seed=seed)
    train(adapter, loss, animation, work / "animation.ckpt", export)
    print(f"exported to {out}")


if __name__ == "__main__":
    typer.run(main)
