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

from mmcache_demos.portraits import workers
from mmcache_demos.portraits.controlnet.edges import edge_pictures
from mmcache_demos.portraits.denoiser import velocity_loss
from mmcache_demos.portraits.fine_tuning import (
    Shipped,
    TrainingData,
    random_prompts,
    shipped_parts,
    training_data,
)
from mmcache_demos.portraits.training import Recipe, train

# As many widths as halve 64 pixels to the 16 of the latent; the default halves three times.
EMBEDDING_WIDTHS = (16, 32, 48)


def edge_controlnet(base: UNet2DConditionModel) -> ControlNetModel:
    """A ControlNet that starts as a copy of the U-Net's encoder and adds nothing yet."""
    return ControlNetModel.from_unet(base, conditioning_embedding_out_channels=EMBEDDING_WIDTHS).to(
        base.device
    )


def controlnet_loss(
    controlnet: ControlNetModel, base: Shipped, data: TrainingData
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`. The U-Net is frozen, and gradients pass through it."""
    base.unet.requires_grad_(False)

    def predict(chosen: torch.Tensor, noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        lines = torch.tensor(edge_pictures(data.pixels[chosen.numpy()])).permute(0, 3, 1, 2)
        asked = (lines.float() / 255).to(controlnet.device, memory_format=torch.channels_last)
        prompts = random_prompts(base, data, chosen)
        down, middle = controlnet(noisy, times, prompts, controlnet_cond=asked, return_dict=False)
        return base.unet(
            noisy,
            times,
            prompts,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample

    return velocity_loss(predict, base.scheduler, data.latents, controlnet.device)


def export(controlnet: ControlNetModel, folder: Path) -> None:
    """Writes it, fp16 safetensors, for `ControlNetModel.from_pretrained(folder)`."""
    copy.deepcopy(controlnet).half().save_pretrained(folder, safe_serialization=True)


def learn(recipe: Recipe, pictures: int, work: Path, out: Path, device: str) -> None:
    """Trains, in all worker processes at once, and exports at every checkpoint."""
    base = shipped_parts(device)
    data = training_data(base, pictures, work)
    torch.manual_seed(recipe.seed)
    controlnet = edge_controlnet(base.unet)
    controlnet.to(memory_format=torch.channels_last)  # type: ignore[call-arg]  # wrapped by diffusers
    train(
        controlnet,
        controlnet_loss(controlnet, base, data),
        recipe,
        work / "controlnet.ckpt",
        lambda averaged, step: export(averaged, out),
    )


def main(
    work: Annotated[Path, typer.Option(help="Folder for pictures and checkpoints.")] = Path("runs/portraits"),
    out: Annotated[
        Path | None, typer.Option(help="Folder of the ControlNet; default: in the work folder.")
    ] = None,
    pictures: Annotated[int, typer.Option(min=64, help="Pictures to draw.")] = 8192,
    iterations: Annotated[int, typer.Option(min=1)] = 1000,
    learning_rate: float = 1e-3,
    seed: int = 0,
    device: Annotated[str | None, typer.Option(help="Default: the GPU if there is one.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="A divisor of 16.")] = 1,
) -> None:
    """Train a ControlNet of edges for the shipped U-Net, and export it."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    out = out or work / "controlnet"
    training_data(shipped_parts(device), pictures, work)  # drawn here, once, and only read by the workers
    recipe = Recipe(iterations, learning_rate, warmup=50, fall=0.3, ema=0.99, seed=seed)
    workers.run(learn, processes, recipe, pictures, work, out, device)
    print(f"exported to {out}")


if __name__ == "__main__":
    typer.run(main)
