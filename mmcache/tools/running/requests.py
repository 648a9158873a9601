"""Many images of one pipeline: prompts and seeds, split into batches."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from mmcache.tools.running.call_settings import has_argument, takes_prompt


class ImageRequest(NamedTuple):
    """One image or video: its prompt ("" where the pipeline has none), and the seed of its noise."""

    prompt: str
    seed: int


def image_requests(prompts: Sequence[str] | None, per_prompt: int, first_seed: int) -> list[ImageRequest]:
    """Each prompt `per_prompt` times; every image starts from noise of its own, seeds count up."""
    texts = [""] if prompts is None else prompts
    return [
        ImageRequest(text, first_seed + number)
        for number, text in enumerate(text for text in texts for _ in range(per_prompt))
    ]


def batches(pipe: Any, requests: Sequence[ImageRequest], size: int) -> Iterator[Sequence[ImageRequest]]:
    """Batches of at most this size; single images where a pipeline takes neither prompts nor a number."""
    if not takes_prompt(pipe) and not has_argument(pipe, "batch_size"):
        size = 1
    for start in range(0, len(requests), size):
        yield requests[start : start + size]


def arguments_for(pipe: Any, batch: Sequence[ImageRequest], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the call for one batch. Noise is drawn on the CPU, the same on every device."""
    generators = [noise(request.seed) for request in batch]
    if not takes_prompt(pipe):
        if has_argument(pipe, "batch_size"):
            return {"generator": generators, "batch_size": len(batch)}
        return {"generator": generators[0]}
    arguments: dict[str, Any] = {"prompt": [request.prompt for request in batch], "generator": generators}
    if isinstance(settings.get("negative_prompt"), str):  # pipelines want one for each prompt
        arguments["negative_prompt"] = [settings["negative_prompt"]] * len(batch)
    return arguments


def noise(seed: int) -> torch.Generator:
    """The generator of a seed, on the CPU, so that noise is the same on every device."""
    return torch.Generator().manual_seed(seed)
