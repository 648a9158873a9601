"""The controls of a plan: the slider's, a named one, or one of your own, part by part."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from mmcache_demos.app.board import QUIET
from mmcache_demos.app.plan_choice import OWN, RECOMMENDED, SLIDER, PlanChoice, whole_numbers

POLICY_CHOICES = (
    ("every so many steps", "uniform"),
    ("densest around one step", "nonuniform"),
    ("when enough has changed", "adaptive"),
    ("these steps", "steps"),
)
FORECAST_CHOICES = (
    ("the last ones, as they are", "hold"),
    ("extrapolated in a straight line", "taylor1"),
    ("extrapolated along a curve", "taylor2"),
)
# Which controls a policy has.
BELONGS = {
    "interval": ("uniform", "nonuniform"),
    "center": ("nonuniform",),
    "power": ("nonuniform",),
    "threshold": ("adaptive",),
    "full_steps": ("steps",),
}


def plan_controls(
    names: Sequence[str], deepest: int, most_steps: int, begins_with: str = SLIDER
) -> dict[str, Any]:
    """Build them where they are called for.

    Args:
        names: of the plans that can be chosen by name.
        deepest: branch of the model.
        most_steps: of a run.
        begins_with: the plan that is chosen at first; SLIDER is offered only then.

    Returns:
        The components, by the names of `settings.READERS`.
    """
    usual = PlanChoice()
    made: dict[str, Any] = {
        "plan": gr.Dropdown(
            [
                *([("as the speed above says", SLIDER)] if begins_with == SLIDER else []),
                ("the library's default", RECOMMENDED),
                *((name, name) for name in names),
                ("my own", OWN),
            ],
            value=begins_with,
            label="Plan",
            info="When the whole model runs, and what stands in for it at the steps between.",
        )
    }
    with gr.Column(visible=False, elem_classes="mm-own") as own:
        made["policy"] = gr.Dropdown(
            list(POLICY_CHOICES),
            value=usual.policy,
            label="Full steps",
            info="The policy: at which steps the whole model runs.",
        )
        made["interval"] = gr.Slider(
            1,
            max(2, min(20, most_steps)),
            min(usual.interval, most_steps),
            step=1,
            label="Interval",
            info="One full step in so many; 1 caches nothing.",
        )
        made["center"] = gr.Slider(
            0,
            max(1, most_steps - 1),
            min(usual.center, most_steps - 1),
            step=1,
            label="Centre",
            info="Full steps lie closest around this step.",
            visible=False,
        )
        made["power"] = gr.Slider(
            1, 3, usual.power, step=0.1, label="Power", info="How much closer they lie there.", visible=False
        )
        made["threshold"] = gr.Slider(
            0.01,
            1,
            usual.threshold,
            step=0.01,
            label="Threshold",
            visible=False,
            info="A full step when the network's input or output has changed by this part of its size.",
        )
        made["full_steps"] = gr.Textbox(
            ", ".join(str(step) for step in whole_numbers(usual.full_steps) if step < most_steps),
            label="Steps to run in full",
            info="Counted from 0, which has to be among them.",
            visible=False,
        )
        made["forecast"] = gr.Dropdown(
            list(FORECAST_CHOICES),
            value=usual.forecast,
            label="Forecast",
            info="What stands in for the layers that a cached step leaves out.",
        )
        made["branch"] = gr.Slider(
            0,
            max(1, deepest),
            usual.branch,
            step=1,
            label="Branch",
            info="How many of the outer layers still run on a cached step; 0 is the fewest.",
        )
    made["plan"].change(
        lambda name: gr.Column(visible=name == OWN),
        made["plan"],
        own,
        **QUIET,
    )
    made["policy"].change(
        visible_for,
        made["policy"],
        [made[name] for name in BELONGS],
        **QUIET,
    )
    return made


def visible_for(policy: str) -> list[Any]:
    """Which controls a policy has, in the order of BELONGS."""
    return [gr.update(visible=policy in policies) for policies in BELONGS.values()]
