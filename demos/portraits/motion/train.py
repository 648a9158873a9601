"""python -m mmcache_demos.portraits.motion.train: draws clips and trains the text-to-video miniature on them.

Run it again after it was stopped: every stage goes on from its last checkpoint.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from diffusers import UNetMotionModel
from torch import nn
from transformers import CLIPTextModel

from mmcache_demos.devices import Device, chosen_device
from mmcache_demos.portraits import training_options as options
from mmcache_demos.portraits import workers
from mmcache_demos.portraits.fine_tuning import Shipped, shipped_parts
from mmcache_demos.portraits.models import tokenize
from mmcache_demos.portraits.motion.animation import LAST_STAGE, animation_loss
from mmcache_demos.portraits.motion.clips import clips
from mmcache_demos.portraits.motion.drawn_clips import encoded_clips
from mmcache_demos.portraits.motion.models import motion_adapter, save_video_parts, with_motion
from mmcache_demos.portraits.motion.motions import MOTIONS
from mmcache_demos.portraits.motion.words import pose_directions, words_loss
from mmcache_demos.portraits.training import Recipe, train


@dataclass(frozen=True)
class Setup:
    """Where to train, on how much, for how long, and where to put the result.

    Attributes:
        base: folder of the text-to-image pipeline that training builds on; else the shipped one.
        begin: folder of a U-Net with motion modules and its text encoder that are trained on.
        clips: how many are rendered.
    """

    work: Path
    out: Path
    clips: int
    device: str
    unet: Recipe
    base: Path | None
    begin: Path | None

    def encoded_clips(self, base: Shipped) -> torch.Tensor:
        return encoded_clips("train", self.clips, base.vae, self.work / "clips")


def taught_text_encoder(setup: Setup, base: Shipped) -> CLIPTextModel:
    """A text encoder that knows the words for motions: the one to begin with, or the base's, taught."""
    if setup.begin:
        return CLIPTextModel.from_pretrained(setup.begin, subfolder="text_encoder").float()
    known = base.text_encoder.cpu()
    taught = copy.deepcopy(known).requires_grad_(True)
    recipe = Recipe(600, learning_rate=2e-3, warmup=20, ema=0.98, seed=setup.unet.seed)
    loss = words_loss(taught, known, base.tokenizer, clips("train", setup.clips))
    return train(taught, loss, recipe, setup.work / "words.ckpt")


def begun_unet(setup: Setup, base: Shipped) -> UNetMotionModel:
    """The U-Net with motion modules as its training begins."""
    torch.manual_seed(setup.unet.seed)
    if setup.begin:
        begun = UNetMotionModel.from_pretrained(setup.begin, subfolder="unet")
        begun.register_to_config(_name_or_path="")  # a folder of this machine, which nobody else has
        return begun
    return with_motion(base.unet.cpu().requires_grad_(True), motion_adapter())


def train_unet(setup: Setup) -> None:
    """Trains the U-Net and its motion modules, in all worker processes at once, and exports."""
    base = shipped_parts(setup.device, setup.base)
    latents = setup.encoded_clips(base)
    text = taught_text_encoder(setup, base).requires_grad_(False).eval()
    unet = begun_unet(setup, base)
    nn.Module.to(unet, setup.device)
    text_there = copy.deepcopy(text).to(setup.device)
    drawn = clips("train", setup.clips)
    directions = pose_directions(text.config.hidden_size)
    loss = animation_loss(
        unet,
        text_there,
        base.scheduler,
        latents,
        tokenize(base.tokenizer, [clip.text for clip in drawn]),
        directions[[list(MOTIONS).index(clip.motion) for clip in drawn]],
        tokenize(base.tokenizer, [""])[0],
        setup.unet,
        setup.device,
        begin_at=LAST_STAGE if setup.begin else 0.0,
    )

    def export(averaged: UNetMotionModel, step: int) -> None:
        save_video_parts(setup.out, averaged, text)

    train(unet, loss, setup.unet, setup.work / "animation.ckpt", export)


def main(
    work: options.Work = Path("runs/motion"),
    out: Annotated[Path | None, options.out("exported parts")] = None,
    base: options.Base = None,
    begin: Annotated[
        Path | None,
        typer.Option(help="Folder of a U-Net with motion modules and its text encoder to train on."),
    ] = None,
    count: Annotated[int, typer.Option(min=16, help="Clips to render.")] = 2_800,
    iterations: Annotated[int, typer.Option(min=1, help="Of the U-Net.")] = 1_800,
    batch: Annotated[int, typer.Option(min=8, help="Frames of a step.")] = 32,
    learning_rate: float = 8e-4,
    seed: int = 0,
    device: Device = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Default: 2, or 1 on a GPU.")] = None,
) -> None:
    """Render clips, train the text-to-video miniature on them, and export it."""
    device = chosen_device(device)
    recipe = Recipe(iterations, learning_rate, batch, warmup=50, fall=0.3, ema=0.99, seed=seed)
    setup = Setup(work, out or work / "text-to-video", count, device, recipe, base, begin)
    # Both made here, once, and only read by the workers.
    parts = shipped_parts(device, base)
    setup.encoded_clips(parts)
    taught_text_encoder(setup, parts)
    workers.run(train_unet, processes or (2 if device == "cpu" else 1), setup)
    print(f"exported to {setup.out}")


if __name__ == "__main__":
    typer.run(main)
