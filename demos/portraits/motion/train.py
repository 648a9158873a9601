"""python -m mmcache_demos.portraits.motion.train: draws clips and trains the text-to-video miniature on them.

Run it again after it was stopped: every stage goes on from its last checkpoint.
"""

import copy
from pathlib import Path
from typing import Annotated

import torch
import typer
from diffusers import AutoencoderKL, UNet2DConditionModel, UNetMotionModel
from transformers import CLIPTextModel, CLIPTokenizer

from mmcache_demos import miniature
from mmcache_demos.portraits import workers
from mmcache_demos.portraits.models import noise_scheduler, tokenize
from mmcache_demos.portraits.motion.animation import animation_loss
from mmcache_demos.portraits.motion.clips import clips
from mmcache_demos.portraits.motion.drawn_clips import encoded_clips
from mmcache_demos.portraits.motion.models import motion_adapter, save_video_parts, with_motion
from mmcache_demos.portraits.motion.motions import MOTIONS
from mmcache_demos.portraits.motion.words import pose_directions, words_loss
from mmcache_demos.portraits.training import Recipe, train


def taught_text_encoder(count: int, work: Path, seed: int) -> CLIPTextModel:
    """The base's text encoder once it knows the words for motions."""
    base = miniature("text-to-image")
    known = CLIPTextModel.from_pretrained(base, subfolder="text_encoder").requires_grad_(False)
    tokens = CLIPTokenizer.from_pretrained(base, subfolder="tokenizer")
    taught = copy.deepcopy(known).requires_grad_(True)
    recipe = Recipe(600, learning_rate=2e-3, warmup=20, ema=0.98, seed=seed)
    return train(
        taught, words_loss(taught, known, tokens, clips("train", count)), recipe, work / "words.ckpt"
    )


def train_unet(recipe: Recipe, count: int, work: Path, out: Path) -> None:
    """Trains the U-Net and its motion modules, in all worker processes at once, and exports."""
    base = miniature("text-to-image")
    vae = AutoencoderKL.from_pretrained(base, subfolder="vae")
    tokens = CLIPTokenizer.from_pretrained(base, subfolder="tokenizer")
    text = taught_text_encoder(count, work, recipe.seed)
    drawn = clips("train", count)
    torch.manual_seed(recipe.seed)
    unet = with_motion(UNet2DConditionModel.from_pretrained(base, subfolder="unet"), motion_adapter())
    loss = animation_loss(
        unet,
        text,
        noise_scheduler(),
        encoded_clips("train", count, vae, work / "clips"),
        tokenize(tokens, [clip.text for clip in drawn]),
        pose_directions(text.config.hidden_size)[[list(MOTIONS).index(clip.motion) for clip in drawn]],
        tokenize(tokens, [""])[0],
        recipe.iterations,
    )

    def export(averaged: UNetMotionModel, step: int) -> None:
        save_video_parts(out, averaged, text)

    train(unet, loss, recipe, work / "animation.ckpt", export)


def main(
    work: Annotated[Path, typer.Option(help="Folder for clips and checkpoints.")] = Path("runs/motion"),
    out: Annotated[
        Path | None, typer.Option(help="Folder of the exported parts; default: in the work folder.")
    ] = None,
    count: Annotated[int, typer.Option(min=16, help="Clips to draw.")] = 2_800,
    iterations: Annotated[int, typer.Option(min=1, help="Of the U-Net.")] = 1_800,
    learning_rate: float = 8e-4,
    seed: int = 0,
    processes: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Draw clips, train the text-to-video miniature on them, and export it."""
    out = out or work / "text-to-video"
    base = miniature("text-to-image")
    # Both made here, once, and only read by the workers.
    encoded_clips("train", count, AutoencoderKL.from_pretrained(base, subfolder="vae"), work / "clips")
    taught_text_encoder(count, work, seed)
    recipe = Recipe(iterations, learning_rate, warmup=50, fall=0.3, ema=0.99, seed=seed)
    workers.run(train_unet, processes, recipe, count, work, out)
    print(f"exported to {out}")


if __name__ == "__main__":
    typer.run(main)
