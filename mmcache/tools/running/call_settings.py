"""The arguments of a pipeline's call that all runs have in common, checked before anything is sampled."""

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmcache.errors import shown, unknown_name
from mmcache.tools.running.characters import half_character

MOST = 100_000  # of anything that is counted: beyond it a run would take weeks, or a list all memory
MOST_SEED = 2**64 - 1  # of torch
SIZES = ("height", "width", "num_frames")  # arguments of pipelines that count something
GUIDANCE = ("guidance_scale", "true_cfg_scale")
NUMBERS = (int, float, list, tuple, type(None))  # some pipelines have a guidance for each of several things
# Arguments of the pipeline that the tools set themselves, and what to give instead.
OWN = {
    "num_inference_steps": "steps",
    "generator": "seed",
    "output_type": "nothing: it measures the images themselves",
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
    check_values(settings)
    if takes_prompt(pipe) and prompt is None and not any("prompt" in name for name in settings):
        raise ValueError(f"{type(pipe).__name__} needs a prompt")
    return settings


def check_values(settings: Mapping[str, Any]) -> None:
    """Refuse numbers that a pipeline takes without a word and that mean nothing.

    Raises:
        ValueError: a size that is no whole number of at least 1, a guidance that is no number, NaN, infinity,
            a text with half a character.
    """
    for name, value in settings.items():
        if name in SIZES and value is not None:
            check_count(name, value)
        if name in GUIDANCE and not isinstance(value, NUMBERS):
            raise ValueError(f"{name}={shown(value)}: wanted a number, such as 7.5")
        for text in value if isinstance(value, list) else [value]:
            check_characters(name, text)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name}={value!r}: is no finite number; give one such as 7.5")


def check_counts(steps: int, seed: int, repeats: int = 1) -> None:
    """Refuse numbers that no run can have.

    Raises:
        ValueError: fewer steps or repeats than 1, or a seed that torch does not take.
    """
    check_count("steps", steps)
    check_count("repeats", repeats)
    check_count("seed", seed, least=0, most=MOST_SEED)


def check_count(name: str, value: Any, least: int = 1, most: int = MOST) -> None:
    """Refuse what is no whole number, or out of bounds.

    Raises:
        ValueError: with the name.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        limit = " and at most 2**64 - 1" if most == MOST_SEED else ""
        if isinstance(value, int) and value > most != MOST_SEED:
            limit = f" and at most {most}"
        raise ValueError(f"{name}={shown(value)}: {name} must be a whole number of at least {least}{limit}")


def check_prompt(prompt: str | list[str] | None) -> None:
    """Refuse a prompt that says nothing.

    Raises:
        ValueError: it is empty, no text, has half a character, or is a list without prompts.
    """
    texts = [prompt] if prompt is None or isinstance(prompt, str) else prompt
    if not isinstance(texts, list) or not all(text is None or isinstance(text, str) for text in texts):
        raise ValueError(f"prompt={shown(prompt)}: wanted a text, or a list of texts")
    if isinstance(prompt, list) and not prompt:
        raise ValueError("prompt=[]: the list of prompts is empty, at least one is needed")
    for text in texts:
        if text is not None and not text.strip():
            raise ValueError(f"prompt={prompt!r}: the prompt is empty, say what the image should show")
        check_characters("prompt", text)


def check_characters(name: str, text: Any) -> None:
    """Refuse a text that no tokenizer reads and no file holds.

    Raises:
        ValueError: it has half a character.
    """
    if isinstance(text, str) and (half := half_character(text)):
        raise ValueError(
            f"{name}={shown(text)}: {half} is half a character, or a byte that is no UTF-8; "
            f"give the text in UTF-8"
        )


def prompt_list(prompts: Sequence[str], name: str = "prompts") -> list[str]:
    """Several prompts, as a list.

    Raises:
        ValueError: a single string, which would be a prompt for each letter, or something else than texts.
    """
    if isinstance(prompts, str) or not isinstance(prompts, Sequence):
        raise ValueError(f"{name}={shown(prompts)}: wanted several texts, such as ['a lighthouse', 'a cat']")
    return list(prompts)


def takes_prompt(pipe: Any) -> bool:
    """Whether the pipeline has a prompt; DDPM and its like have none."""
    return has_argument(pipe, "prompt")


def has_argument(pipe: Any, name: str) -> bool:
    """Whether a pipeline is called with such an argument."""
    return name in inspect.signature(type(pipe).__call__).parameters
