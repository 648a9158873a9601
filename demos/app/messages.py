"""What a visitor is told when something cannot be done: one sentence, and nothing of the server's insides."""

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from mmcache.errors import MissingExtraError
from mmcache_demos.app.markup import text

SECONDS = 20  # that a message stays
OUT_OF_MEMORY = "The server has not enough memory for this: take a smaller size, or fewer frames."
# A message begins with the label of the control that it is about: page.js shows it beside that control.
TITLES = {
    "prompt": "Prompt",
    "cost": "Speed",
    "plan": "Plan",
    "policy": "Full steps",
    "interval": "Interval",
    "center": "Centre",
    "power": "Power",
    "threshold": "Threshold",
    "full_steps": "Steps to run in full",
    "forecast": "Forecast",
    "branch": "Branch",
    "steps": "Steps",
    "seed": "Seed",
    "guidance": "Guidance",
    "sampler": "Sampler",
    "width": "Width",
    "height": "Height",
    "frames": "Frames",
    "previews": "Images on the way",
    "model": "Model",
    "board": "Your image",
}


@contextmanager
def told_to_visitor(field: str = "") -> Iterator[None]:
    """Turn what was wrong with an order into a message on the page.

    Our own mistakes stay what they are: they are printed on the server, and the page says only "Error".

    Args:
        field: that is meant where the error names none.

    Raises:
        gr.Error: with the sentence.
    """
    try:
        yield
    except (ValueError, MissingExtraError) as error:
        words = about(getattr(error, "field", field), str(error))
        raise gr.Error(in_a_toast(words), duration=SECONDS, print_exception=False) from error
    except RuntimeError as error:
        if "out of memory" not in str(error):
            raise
        raise gr.Error(OUT_OF_MEMORY, duration=SECONDS, print_exception=False) from error


def about(field: str, words: str) -> str:
    """Steps: 5000 asked for, and this server gives at most 100."""
    title = TITLES.get(field)
    return f"{title}: {words.removeprefix(f'{field}: ')}" if title else words


def warn_visitor(words: str) -> None:
    """Show a message beside what goes on."""
    gr.Warning(in_a_toast(words), duration=SECONDS)


def in_a_toast(error: object) -> str:
    """In one line, and as text: gradio shows messages as HTML, and a link may have brought some along."""
    return text(" ".join(str(error).split()))
