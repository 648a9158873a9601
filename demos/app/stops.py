"""The slider's stops: radio buttons, each with its cost, its closeness and a word."""

from abc import ABCMeta
from typing import Any

import gradio as gr
from gradio.component_meta import ComponentMeta

from mmcache_demos.app.costs import Slider

# On a phone it is wider than its stop, so it may be written in two lines.
RECOMMENDED = "recom\N{SOFT HYPHEN}mended"


class WithoutStub(ComponentMeta):  # type: ignore[misc]  # gradio has no types here
    """Leaves out the stub that gradio writes beside a module that defines a component."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> "WithoutStub":
        return ABCMeta.__new__(cls, name, bases, attributes)


class Stops(gr.Radio, metaclass=WithoutStub):  # type: ignore[misc]
    """Radio buttons that take a stop which has gone since the page was sent: the nearest counts then.

    gradio's own refuse it, as they know only the choices of now. A visitor may be a click ahead of them.
    """

    is_template = True  # the browser shows it as a Radio

    def preprocess(self, payload: str | int | float | None) -> str | int | float | None:
        return payload


def stops(slider: Slider) -> list[tuple[str, str]]:
    """What the slider offers: cost, closeness where it is known, and what there is to say of the stop."""
    first, last = slider.costs[0], slider.costs[-1]
    ends = {first.name: "closest", last.name: "fastest"}
    return [
        (
            f"{cost.name}\n"
            + (f"{cost.psnr:.0f} dB\n" if slider.holds else "")
            + (RECOMMENDED if cost.recommended else ends.get(cost.name, "")),
            cost.name,
        )
        for cost in slider.costs
    ]
