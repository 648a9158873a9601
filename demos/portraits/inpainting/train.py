"""python -m mmcache_demos.portraits.inpainting.train: fine-tunes the shipped U-Net to fill masks.

Run it again after it was stopped: it goes on from its last checkpoint.
"""

import copy
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from diffusers import UNet2DConditionModel
from torch.nn import functional as F

from mmcache_demos.devices import Device, chosen_device
from mmcache_demos.portraits import training_options as options
from mmcache_demos.portraits import workers
from mmcache_demos.portraits.attributes import Portrait
from mmcache_demos.portraits.autoencoder import to_tensor
from mmcache_demos.portraits.denoiser import velocity_loss
from mmcache_demos.portraits.fine_tuning import (
    Shipped,
    TrainingData,
    random_prompts,
    shipped_parts,
    training_data,
)
from mmcache_demos.portraits.inpainting.edits import changed_pixels_of_a_random_edit
from mmcache_demos.portraits.inpainting.masks import random_masks, random_shapes
from mmcache_demos.portraits.training import Recipe, train

SHAPES_DRAWN = 4096  # masks that the images of all steps share


def inpainting_unet(base: UNet2DConditionModel) -> UNet2DConditionModel:
    """A copy of the U-Net that also takes a mask and the latents of what it leaves, and ignores them.

    Its input is (N, 9, 16, 16): noisy latents, mask, latents of the masked picture, as
    `StableDiffusionInpaintPipeline` stacks them. The weights of the five new channels are 0, so that
    training starts from what the U-Net draws.
    """
    wider = 2 * base.config["in_channels"] + 1
    unet = UNet2DConditionModel.from_config(base.config, in_channels=wider)
    weights = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    known = weights["conv_in.weight"]
    weights["conv_in.weight"] = F.pad(known, (0, 0, 0, 0, 0, wider - known.shape[1]))
    unet.load_state_dict(weights)
    return unet.to(base.device)


@torch.no_grad()
def mask_channels(base: Shipped, pixels: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """The five channels that tell the U-Net what to keep, (N, 5, 16, 16), as the pipeline makes them.

    Args:
        pixels: (N, 3, 128, 128) in [-1, 1].
        masks: bool, (N, 128, 128), True where to paint.
    """
    masks = masks[:, None].float()
    kept = base.vae.encode(pixels * (masks < 0.5)).latent_dist.mean * base.vae.config["scaling_factor"]
    return torch.cat([F.interpolate(masks, size=kept.shape[-2:]), kept], dim=1)


def inpainting_loss(
    unet: UNet2DConditionModel, base: Shipped, data: TrainingData, regions: np.ndarray, batch: int
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`.

    Args:
        regions: what an edit of each image would change, bool (N, 128, 128).
        batch: images of a step, over all processes.
    """
    shapes = random_shapes(SHAPES_DRAWN).to(unet.device)

    def predict(chosen: torch.Tensor, noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        pixels = to_tensor(data.pixels[chosen.numpy()], unet.device)
        masks = random_masks(torch.from_numpy(regions[chosen.numpy()]).to(unet.device), shapes)
        seen = torch.cat([noisy, mask_channels(base, pixels, masks)], dim=1)
        seen = seen.contiguous(memory_format=torch.channels_last)
        return unet(seen, times, random_prompts(base, data, chosen)).sample

    return velocity_loss(predict, base.scheduler, data.latents, unet.device, batch)


def regions_of_edits(portraits: list[Portrait], stored: Path) -> np.ndarray:
    """What a random edit of each portrait would change, bool (N, 128, 128), unless `stored` has it."""
    if not stored.exists():
        # spawn: forking a process that has used torch's threads can hang.
        with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
            numbered = list(zip(portraits, range(len(portraits)), strict=True))
            regions = pool.starmap(changed_pixels_of_a_random_edit, numbered, chunksize=64)
        stored.parent.mkdir(parents=True, exist_ok=True)
        unfinished = stored.with_suffix(".unfinished.npy")
        np.save(unfinished, np.stack(regions))
        unfinished.replace(stored)
    return np.load(stored)


def learned_from(base: Shipped, pictures: int, work: Path) -> tuple[TrainingData, np.ndarray]:
    """The pictures and the regions of their edits, drawn unless `work` already holds them."""
    data = training_data(base, pictures, work)
    return data, regions_of_edits(data.portraits, work / "pictures" / f"edits-{pictures}.npy")


def export(unet: UNet2DConditionModel, folder: Path) -> None:
    """Writes the folder `unet`, fp16 safetensors, for `from_pretrained(folder, subfolder="unet")`."""
    stored = copy.deepcopy(unet).half()
    stored.register_to_config(_name_or_path="")  # where it was fine-tuned from on this machine
    stored.save_pretrained(folder / "unet", safe_serialization=True)


def fine_tune(
    recipe: Recipe, pictures: int, work: Path, out: Path, device: str, pipeline: Path | None
) -> None:
    """Trains, in all worker processes at once, and exports at every checkpoint."""
    base = shipped_parts(device, pipeline)
    data, regions = learned_from(base, pictures, work)
    unet = inpainting_unet(base.unet)
    unet.to(memory_format=torch.channels_last)  # type: ignore[call-arg]  # wrapped by diffusers
    train(
        unet,
        inpainting_loss(unet, base, data, regions, recipe.batch),
        recipe,
        work / "inpainting.ckpt",
        lambda averaged, step: export(averaged, out),
    )


def main(
    work: options.Work = Path("runs/portraits"),
    out: Annotated[Path | None, options.out("U-Net")] = None,
    base: options.Base = None,
    pictures: options.Pictures = 8192,
    iterations: options.Iterations = 1000,
    batch: options.Batch = 16,
    learning_rate: float = 1e-3,
    seed: int = 0,
    device: Device = None,
    processes: options.Processes = 1,
) -> None:
    """Fine-tune the shipped U-Net for inpainting, and export it."""
    device = chosen_device(device)
    out = out or work / "inpainting"
    recipe = Recipe(iterations, learning_rate, batch, warmup=50, fall=0.3, ema=0.99, seed=seed)
    learned_from(shipped_parts(device, base), pictures, work)  # once, here, and only read by the workers
    workers.run(fine_tune, processes, recipe, pictures, work, out, device, base)
    print(f"exported to {out}")


if __name__ == "__main__":
    typer.run(main)
