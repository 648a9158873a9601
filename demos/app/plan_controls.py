"""The controls of a plan: a named one, or policy, interval, forecast and branch of one's own."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from mmcache_demos.app.board import QUIET
from mmcache_demos.app.plan_choice import OWN, RECOMMENDED, PlanChoice

DEEPEST = 11  # Stable Diffusion's U-Net has branches 0 to 11; what a model does not have, it refuses

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


def plan_controls(names: Sequence[str], begins_with: str = RECOMMENDED) -> dict[str, Any]:
    """Build them where they are called for.

    Args:
        names: of the plans that can be chosen by name.
        begins_with: the plan that is chosen at first.

    Returns:
        The components, by the names of `settings.READERS`.
    """
    usual = PlanChoice()
    made: dict[str, Any] = {
        "plan": gr.Dropdown(
            [("recommended for this model", RECOMMENDED), *((name, name) for name in names), ("my own", OWN)],
            value=begins_with,
            label="Plan",
            info="When the whole network runs, and what stands in for it at the steps between.",
        )
    }
    with gr.Column(visible=False, elem_classes="mm-own") as own:
        made["policy"] = gr.Dropdown(
            list(POLICY_CHOICES),
            value=usual.policy,
            label="Full steps (policy)",
            info="At which steps the whole network runs.",
        )
        made["interval"] = gr.Slider(
            1,
            20,
            usual.interval,
            step=1,
            label="Interval",
            info="One full step in so many; 1 caches nothing.",
        )
        made["center"] = gr.Slider(
            0,
            99,
            usual.center,
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
            usual.full_steps, label="Steps", info="Counted from 0, which has to be among them.", visible=False
        )
        made["forecast"] = gr.Dropdown(
            list(FORECAST_CHOICES),
            value=usual.forecast,
            label="Features in between (forecast)",
            info="What stands in for the layers that a cached step leaves out.",
        )
        made["branch"] = gr.Slider(
            0,
            DEEPEST,
            usual.branch,
            step=1,
            label="Branch",
            info="How many of the outer layers still run on a cached step; 0 are the fewest.",
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
