"""Many pictures of one pipeline: prompts and seeds, shared out to calls."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from mmcache.tools.comparison.sampling_settings import takes_prompt


class Wanted(NamedTuple):
    """One picture: what it shows ("" where the pipeline is not told), and the seed of its noise."""

    prompt: str
    seed: int


def wanted_pictures(prompts: Sequence[str] | None, seeds: int, first: int) -> list[Wanted]:
    """Each prompt `seeds` times; every picture starts from noise of its own, counted up from `first`."""
    texts = [""] if prompts is None else prompts
    return [
        Wanted(text, first + number)
        for number, text in enumerate(text for text in texts for _ in range(seeds))
    ]


def batches(pipe: Any, wanted: Sequence[Wanted], size: int) -> Iterator[Sequence[Wanted]]:
    """Of this size at most; one by one where a pipeline that takes no prompt takes no number either."""
    if not takes_prompt(pipe) and not takes(pipe, "batch_size"):
        size = 1
    for start in range(0, len(wanted), size):
        yield wanted[start : start + size]


def arguments_for(pipe: Any, part: Sequence[Wanted], call: Mapping[str, Any]) -> dict[str, Any]:
    """What the pipeline is called with for one batch. Noise is drawn on the CPU, the same on every device."""
    generators = [torch.Generator().manual_seed(picture.seed) for picture in part]
    if not takes_prompt(pipe):
        several = takes(pipe, "batch_size")
        return {"generator": generators, "batch_size": len(part)} if several else {"generator": generators[0]}
    found: dict[str, Any] = {"prompt": [picture.prompt for picture in part], "generator": generators}
    if isinstance(call.get("negative_prompt"), str):  # pipelines want one for each prompt
        found["negative_prompt"] = [call["negative_prompt"]] * len(part)
    return found


def takes(pipe: Any, argument: str) -> bool:
    return argument in inspect.signature(type(pipe).__call__).parameters
