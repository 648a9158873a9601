"""python -m mmcache_demos.portraits.controlnet.train: trains a ControlNet of edges for the shipped U-Net.

Run it again after it was stopped: it goes on from its last checkpoint.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from diffusers import ControlNetModel, UNet2DConditionModel

from mmcache_demos.devices import Device, chosen_device
from mmcache_demos.portraits import training_options as options
from mmcache_demos.portraits import workers
from mmcache_demos.portraits.autoencoder import to_tensor
from mmcache_demos.portraits.controlnet.edges import edges_of
from mmcache_demos.portraits.denoiser import velocity_loss
from mmcache_demos.portraits.fine_tuning import (
    Shipped,
    TrainingData,
    random_prompts,
    shipped_parts,
    training_data,
)
from mmcache_demos.portraits.training import Recipe, train

EMBEDDING_WIDTHS = (
    16,
    24,
    32,
    48,
)  # narrower than the default, and as many: they halve 128 pixels to the latent's 16


def edge_controlnet(base: UNet2DConditionModel) -> ControlNetModel:
    """A ControlNet that starts as a copy of the U-Net's encoder and adds nothing yet."""
    return ControlNetModel.from_unet(base, conditioning_embedding_out_channels=EMBEDDING_WIDTHS).to(
        base.device
    )


def controlnet_loss(
    controlnet: ControlNetModel, base: Shipped, data: TrainingData, batch: int
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`. The U-Net is frozen, and gradients pass through it."""
    base.unet.requires_grad_(False)

    def predict(chosen: torch.Tensor, noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        shown = to_tensor(data.pixels[chosen.numpy()], controlnet.device)
        with torch.autocast(controlnet.device.type, enabled=False):  # edges are where thresholds are passed
            lines = edges_of((shown + 1) / 2)[:, None].float().expand(-1, 3, -1, -1)
        asked = lines.contiguous(memory_format=torch.channels_last)
        prompts = random_prompts(base, data, chosen)
        down, middle = controlnet(noisy, times, prompts, controlnet_cond=asked, return_dict=False)
        return base.unet(
            noisy,
            times,
            prompts,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample

    return velocity_loss(predict, base.scheduler, data.latents, controlnet.device, batch)


def export(controlnet: ControlNetModel, folder: Path) -> None:
    """Writes it, fp16 safetensors, for `ControlNetModel.from_pretrained(folder)`."""
    copy.deepcopy(controlnet).half().save_pretrained(folder, safe_serialization=True)


def learn(recipe: Recipe, pictures: int, work: Path, out: Path, device: str, pipeline: Path | None) -> None:
    """Trains, in all worker processes at once, and exports at every checkpoint."""
    base = shipped_parts(device, pipeline)
    data = training_data(base, pictures, work)
    torch.manual_seed(recipe.seed)
    controlnet = edge_controlnet(base.unet)
    controlnet.to(memory_format=torch.channels_last)  # type: ignore[call-arg]  # wrapped by diffusers
    train(
        controlnet,
        controlnet_loss(controlnet, base, data, recipe.batch),
        recipe,
        work / "controlnet.ckpt",
        lambda averaged, step: export(averaged, out),
    )


def main(
    work: options.Work = Path("runs/portraits"),
    out: Annotated[Path | None, options.out("ControlNet")] = None,
    base: options.Base = None,
    pictures: options.Pictures = 8192,
    iterations: options.Iterations = 1000,
    batch: options.Batch = 16,
    learning_rate: float = 1e-3,
    seed: int = 0,
    device: Device = None,
    processes: options.Processes = 1,
) -> None:
    """Train a ControlNet of edges for the shipped U-Net, and export it."""
    device = chosen_device(device)
    out = out or work / "controlnet"
    training_data(shipped_parts(device, base), pictures, work)  # once, here, and only read by the workers
    recipe = Recipe(iterations, learning_rate, batch, warmup=50, fall=0.3, ema=0.99, seed=seed)
    workers.run(learn, processes, recipe, pictures, work, out, device, base)
    print(f"exported to {out}")


if __name__ == "__main__":
    typer.run(main)
