"""What mmcache raises, and how it names what was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches

MOST_LISTED = 160  # characters of known names in a message


class UnsupportedPipelineError(ValueError):
    """The pipeline or model cannot be cached; the message says what was found and what to do instead."""


class PlanFileError(ValueError):
    """A plan file is missing, empty, unreadable, or says something that a plan does not know."""


class PipelineInUseError(RuntimeError):
    """Two threads sample with one pipeline at once; the message says how to make one for each."""


class MissingExtraError(ImportError):
    """A package is missing that only an optional part of mmcache needs; the message says how to get it."""


def shortened(text: str, most: int) -> str:
    """A text cut to a length, for messages."""
    return text if len(text) <= most else text[: most - 4].rstrip(", ") + " ..."


def cut_within(text: str, most: int) -> str:
    """A text cut to a length in its middle: long paths begin a message, and the reason ends it."""
    half = (most - 5) // 2
    return text if len(text) <= most else f"{text[:half]} ... {text[-half:]}"


def shown(value: object, most: int = 60) -> str:
    """A value as code, cut to a length; of a number with more digits than can be read, how large it is."""
    if isinstance(value, int) and value.bit_length() > 200:  # Python refuses to write those of 4,300 digits
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, str):
        return shortened(repr(value[:most]), most)
    try:
        return shortened(repr(value), most)
    except (ValueError, RecursionError):  # such a number, or endless depth, further inside
        return f"a {type(value).__name__}"


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """A sentence that refuses `name` and offers the nearest known one."""
    known = sorted(known)
    met = shown(name, 40)
    nearest = get_close_matches(name, known, n=1, cutoff=0.5) if isinstance(name, str) else []
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    listed = ", ".join(known) or "none"
    if len(listed) > MOST_LISTED:
        listed = listed[:MOST_LISTED].rpartition(", ")[0] + ", ..."
    return f"unknown {kind} {met}.{hint} Known: {listed}."
