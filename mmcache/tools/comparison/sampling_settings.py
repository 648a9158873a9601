"""What a pipeline is called with in both runs of a comparison: checked before anything is sampled."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

from mmcache.errors import unknown_name

# Arguments of the pipeline that `compare` gives itself, and what to give instead.
OWN = {
    "num_inference_steps": "steps",
    "generator": "seed",
    "output_type": "nothing: it measures the pictures themselves",
    "return_dict": "nothing: it reads the result itself",
}


def settings_of(
    pipe: Any,
    prompt: str | list[str] | None,
    guidance_scale: float | None,
    call: Mapping[str, Any],
) -> dict[str, Any]:
    """The arguments of the pipeline's call that are the same in both runs.

    Raises:
        ValueError: one is wrong, or the pipeline does not have it.
    """
    chosen = {"prompt": prompt, "guidance_scale": guidance_scale}
    settings = {name: value for name, value in chosen.items() if value is not None} | dict(call)
    known = [name for name in inspect.signature(type(pipe).__call__).parameters if name != "self"]
    for name in settings:
        if name in OWN:
            raise ValueError(f"{name}=...: give {OWN[name]}")
        if name not in known:
            # Pipelines with **kwargs would swallow it silently.
            free = [name for name in known if name not in OWN]
            raise ValueError(f"{type(pipe).__name__}: {unknown_name('argument', name, free)}")
    if takes_prompt(pipe) and prompt is None and not any("prompt" in name for name in settings):
        raise ValueError(f"{type(pipe).__name__} needs a prompt")
    return settings


def check_counts(steps: int, seed: int, repeats: int = 1) -> None:
    """Refuse numbers that no run can have.

    Raises:
        ValueError: fewer steps or repeats than 1, or a seed that torch does not take.
    """
    check_count("steps", steps)
    check_count("repeats", repeats)
    check_count("seed", seed, least=0, most=2**64 - 1)


def check_count(name: str, value: Any, least: int = 1, most: float = math.inf) -> None:
    """Refuse what is no whole number, or out of bounds.

    Raises:
        ValueError: with the name.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        limit = "" if most == math.inf else " and at most 2**64 - 1"
        raise ValueError(f"{name}={value!r}: {name} must be a whole number of at least {least}{limit}")


def check_prompt(prompt: str | list[str] | None) -> None:
    """Refuse a prompt that says nothing.

    Raises:
        ValueError: it is empty, or a list without prompts.
    """
    if isinstance(prompt, list) and not prompt:
        raise ValueError("prompt=[]: the list of prompts is empty, at least one is needed")
    for text in [prompt] if prompt is None or isinstance(prompt, str) else prompt:
        if text is not None and not text.strip():
            raise ValueError(f"prompt={prompt!r}: the prompt is empty, say what the picture should show")


def takes_prompt(pipe: Any) -> bool:
    """Whether the pipeline is told in words what to show; DDPM and its like are not."""
    return "prompt" in inspect.signature(type(pipe).__call__).parameters


def described(pipe: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings for the report: plain values as they are, tensors and the like by their type."""
    defaults = inspect.signature(type(pipe).__call__).parameters
    scale = defaults.get("guidance_scale")
    shown = {} if scale is None or scale.default is scale.empty else {"guidance_scale": scale.default}
    for name, value in settings.items():
        texts = isinstance(value, list) and all(isinstance(text, str) for text in value)
        plain = texts or isinstance(value, str | int | float | None)
        shown[name] = value if plain else type(value).__name__
    return {"model": str(pipe.name_or_path or "")} | shown
