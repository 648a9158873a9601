"""CLIP score (Hessel et al. 2021, arXiv 2104.08718): how well an image fits its prompt, by a CLIP model."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmcache.tools.media.side_by_side import eight_bits
from mmcache.tools.quality.figures import Figure, stills


def clip_score_figure(folder: Path) -> Figure:
    """The CLIP score as a figure of a sweep: 100 times the cosine of image and prompt, at least 0.

    Args:
        folder: a CLIP model of transformers with its tokenizer and image processor. A folder and no id of a
            hub: nothing is downloaded unasked.

    Raises:
        ValueError: it is no such folder.
    """
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"{folder}: is no folder of a CLIP model, there is no config.json in it; nothing is downloaded "
            f"unasked, so get one first, such as with `hf download openai/clip-vit-base-patch16`"
        )
    # Of their own modules: the general names would look for torchvision.
    from transformers.models.clip.modeling_clip import CLIPModel
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    try:
        model = CLIPModel.from_pretrained(folder, local_files_only=True).eval()
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        processor = image_processor(folder)
    except Exception as error:  # what transformers raises for broken and foreign folders
        raise ValueError(f"{folder}: cannot be loaded as a CLIP model: {error}") from None

    def measure(images: np.ndarray, reference: np.ndarray, prompts: Sequence[str]) -> list[float]:
        return [score(model, tokenizer, processor, *pair) for pair in zip(images, prompts, strict=True)]

    return Figure("clip_score", "CLIP score", measure, digits=2, of_full=True)


def image_processor(folder: Path) -> Any:
    """What scales images for the model; by Pillow, which needs no torchvision."""
    clip = "transformers.models.clip"
    try:
        processor: Any = import_module(f"{clip}.image_processing_pil_clip").CLIPImageProcessorPil
    except ImportError:  # before transformers 5 there was one only, by Pillow
        processor = import_module(f"{clip}.image_processing_clip").CLIPImageProcessor
    return processor.from_pretrained(folder, local_files_only=True)


@torch.no_grad()
def score(model: Any, tokenizer: Any, processor: Any, images: np.ndarray, prompt: str) -> float:
    """Of one image, or the mean over the frames of a video."""
    words = tokenizer([prompt], truncation=True, return_tensors="pt")
    seen = processor(images=list(eight_bits(stills(images))), return_tensors="pt")
    found = model(**words, pixel_values=seen["pixel_values"])
    cosines = (found.image_embeds * found.text_embeds).sum(-1)  # both are of length 1
    return float((100 * cosines).clamp_min(0).mean())
