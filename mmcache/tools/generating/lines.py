"""One line of a prompts file: which keys it may have, and what their values must be."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmcache.errors import shortened, unknown_name
from mmcache.tools.running.call_settings import MOST, MOST_SEED

OF_LINES = ("id", "seed", "plan")  # keys that are not arguments of the pipeline's call
ALIASES = {
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "mask": "mask_image",
    "frames": "num_frames",
}
# What a line cannot say: the tool sets it, it is no JSON, or it would change the number of images.
NOT_FOR_LINES = frozenset(
    ("generator", "output_type", "return_dict", "num_images_per_prompt", "num_videos_per_prompt", "latents")
)
# Arguments of the four tasks' pipelines, for models whose class is known only when they are loaded.
USUAL = frozenset(
    (
        *("prompt", "prompt_2", "negative_prompt", "negative_prompt_2", "height", "width", "image"),
        *("strength", "mask_image", "control_image", "num_inference_steps", "guidance_scale"),
        *("num_frames", "eta", "fps", "controlnet_conditioning_scale", "control_guidance_start"),
        *("control_guidance_end", "clip_skip", "guidance_rescale", "timesteps", "sigmas"),
        *("true_cfg_scale", "max_sequence_length"),
    )
)
CONTROLLED = "controlnet_conditioning_scale"  # an argument of pipelines with a ControlNet alone
MOST_ID = 150  # bytes: names of files have at most 255 on the usual file systems, temporary names are longer
RESERVED = frozenset(("settings", "summary", "errors"))  # files of the folder itself
PORTS = (f"{port}{number}" for port in ("com", "lpt") for number in range(10))
DEVICES = frozenset(("con", "prn", "aux", "nul", *PORTS))  # names that Windows keeps for itself
CLOSE = 0.8  # how alike a key must be to a usual one to be a slip where the pipeline's class is not known


class LineError(ValueError):
    """A line of a prompts file cannot be used; the message says what was met and wanted."""


def is_for_lines(name: str) -> bool:
    """Whether an argument can be written as JSON: tensors and functions cannot."""
    return not (name.startswith("callback") or name.endswith(("_embeds", "_embeds_2", "_mask_2")))


def is_file(path: Path) -> bool:
    """Whether there is a file of this name, which may be none that a file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a null byte
        return False


def is_image_key(name: str) -> bool:
    """Whether an argument is an image, or a list of them, written as the paths of files."""
    return name == "image" or name.endswith("_image")


@dataclass(frozen=True)
class LineSchema:
    """What lines may say for one pipeline.

    Attributes:
        arguments: of the pipeline's call; None where its class is known only when it is loaded.
        folder: that relative paths of images start from.
    """

    arguments: frozenset[str] | None = None
    folder: Path = Path()

    @property
    def takes_prompt(self) -> bool:
        return self.arguments is None or "prompt" in self.arguments

    @property
    def known(self) -> frozenset[str]:
        """All keys of a line."""
        usual = USUAL if self.arguments is None else frozenset(filter(is_for_lines, self.arguments))
        if CONTROLLED in usual:  # some of these pipelines call it `image`
            usual |= {"control_image"}
        aliases = (alias for alias, name in ALIASES.items() if name in usual)
        return (usual | {*OF_LINES, *aliases}) - NOT_FOR_LINES

    def check(self, data: Any) -> dict[str, Any]:
        """The keys and values of a line, under the names of the pipeline's call.

        Raises:
            LineError: an unknown key, with the nearest known one; a missing prompt; a wrong value.
        """
        if isinstance(data, str):
            data = {"prompt": data}
        if not isinstance(data, dict):
            raise LineError(f'is a {type(data).__name__}; a line is an object such as {{"prompt": "a cat"}}')
        line: dict[str, Any] = {}
        for key, value in data.items():
            self._check_key(key)
            name = str(ALIASES.get(key, key))
            if name in line:
                raise LineError(f"has both {name!r} and its short name; keep one")
            if value is not None:
                self._check_value(key, name, value)
                line[name] = value
        if self.takes_prompt and "prompt" not in line:
            raise LineError('has no "prompt"')
        return line

    def _check_key(self, key: str) -> None:
        if key in self.known:
            return
        if key in NOT_FOR_LINES:
            raise LineError(f'{key!r} is not for a line: each is one image, from the noise of its "seed"')
        # A class that is not known yet may have more arguments; only what looks like a slip is one.
        if self.arguments is not None or get_close_matches(key, self.known, n=1, cutoff=CLOSE):
            raise LineError(unknown_name("key", key, self.known))

    def _check_value(self, key: str, name: str, value: Any) -> None:
        check = CHECKS.get(name)
        if check and (problem := check(value)):
            raise LineError(f"{key}={shortened(repr(value), 60)}: {problem}")
        if is_image_key(name):
            for file in value if isinstance(value, list) else [value]:
                if not isinstance(file, str):
                    raise LineError(f"{key}={shortened(repr(file), 60)}: wanted the path of an image")
                if not is_file(self.folder / file):
                    raise LineError(f"{key}: there is no file {shortened(str(self.folder / file), 120)}")


def whole(least: int, most: int = MOST) -> Callable[[Any], str]:
    """A check that finds nothing wrong with whole numbers within these bounds."""

    def check(value: Any) -> str:
        fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        limit = "2**64 - 1" if most == MOST_SEED else most
        return "" if fits else f"wanted a whole number of at least {least} and at most {limit}"

    return check


def number(value: Any) -> str:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return "" if fits else "wanted a number"


def text(value: Any) -> str:
    return "" if isinstance(value, str) else "wanted a text"


def prompt_text(value: Any) -> str:
    return "" if isinstance(value, str) and value.strip() else "wanted a text that says what to show"


def file_name(value: Any) -> str:
    """What is wrong with an id, which becomes the name of a file on any system."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return "wanted a text or a whole number"
    name = str(value)
    if not name.strip() or len(name.encode("utf-8", "replace")) > MOST_ID:
        return f"wanted 1 to {MOST_ID} bytes"
    if any(letter in '/\\:*?"<>|' or not letter.isprintable() for letter in name):
        return 'becomes the name of a file, so it has none of / \\ : * ? " < > | and no control characters'
    if name.startswith((".", "~")) or name != name.strip() or name.endswith("."):
        return "becomes the name of a file, so it begins and ends with another letter"
    if name.casefold() in RESERVED or name.split(".")[0].casefold() in DEVICES:
        return "is the name of another file; choose another"
    return ""


CHECKS: Mapping[str, Callable[[Any], str]] = {
    "id": file_name,
    "seed": whole(0, MOST_SEED),
    "plan": text,
    "prompt": prompt_text,
    "negative_prompt": text,
    "num_inference_steps": whole(1),
    "height": whole(1),
    "width": whole(1),
    "num_frames": whole(1),
    "guidance_scale": number,
    "strength": number,
}


def arguments_of(pipeline: Any) -> frozenset[str]:
    """The named arguments of a pipeline class's call."""
    parameters = inspect.signature(pipeline.__call__).parameters.values()
    open_ended = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return frozenset(one.name for one in parameters if one.kind not in open_ended) - {"self"}
