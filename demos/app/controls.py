"""The controls of a tab that draws: components by the names of `settings.READERS`."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from mmcache.tools.tasks.samplers import SAMPLERS
from mmcache.tools.tasks.tasks import Task
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.models import Offer
from mmcache_demos.app.plan_controls import plan_controls
from mmcache_demos.app.settings import MINIATURE, MOST_GUIDANCE, OWN_SAMPLER, SHIPPED_AS, Settings

# By the names of `settings.READERS`; gradio adds their events, such as `change`, as it runs.
Components = dict[str, Any]
DICE = "() => Math.floor(Math.random() * 2147483648)"


def prompt_control(usual: Settings, limits: Limits) -> Components:
    return {
        "prompt": gr.Textbox(
            usual.prompt,
            label="Prompt",
            lines=3,
            max_length=limits.prompt_characters,
            elem_classes="mm-prompt",
        )
    }


def caching_controls(plans: Sequence[str], preview: str) -> tuple[Components, gr.HTML]:
    """How to cache, and where the plan's strip is shown.

    Args:
        plans: that can be chosen by name.
        preview: the strip at first, HTML.
    """
    with gr.Accordion("How to cache", open=True):
        made = plan_controls(plans)
        shown = gr.HTML(preview, elem_classes="mm-plan-preview", apply_default_css=False)
    return made, shown


def sampling_controls(usual: Settings, limits: Limits, offer: Offer, task: Task) -> Components:
    """What both runs have in common; a change of any of them needs a new full run."""
    made: Components = {}
    names = offer.names(task)
    with gr.Accordion("Sampling", open=False):
        made["steps"] = gr.Slider(
            1, limits.steps, usual.steps, step=1, label="Steps", info="From noise to picture, for both runs."
        )
        with gr.Row(elem_classes="mm-seed"):
            made["seed"] = gr.Number(
                usual.seed, precision=0, minimum=0, label="Seed", info="The noise that both runs begin with."
            )
            dice = gr.Button("Roll", size="sm", min_width=64, scale=0)
        dice.click(None, None, made["seed"], js=DICE, api_visibility="private")
        made["guidance"] = gr.Slider(
            0,
            min(15, MOST_GUIDANCE),
            usual.guidance,
            step=0.5,
            label="Guidance",
            info="How strictly the prompt is followed.",
        )
        made["sampler"] = gr.Dropdown(
            [("the model's own", OWN_SAMPLER), *((name, name) for name in SAMPLERS)],
            value=usual.sampler,
            label="Sampler",
            info="The rule that goes from one step to the next.",
        )
        with gr.Row():
            for name in ("width", "height"):
                made[name] = gr.Number(
                    None,
                    precision=0,
                    minimum=0,
                    label=name.capitalize(),
                    min_width=80,
                    placeholder="model's own",
                )
        if usual.frames is not None:
            made["frames"] = gr.Slider(
                1, limits.frames, usual.frames, step=1, label="Frames", info="Of the clip."
            )
        made["previews"] = gr.Checkbox(
            usual.previews, label="Show pictures on the way", info="The time for them is not counted."
        )
        made["model"] = gr.Dropdown(
            [(label(name), name) for name in names],
            value=names[0],
            label="Model",
            info="An id of the Hugging Face hub can be typed." if offer.typed else None,
            allow_custom_value=offer.typed,
            interactive=offer.typed or len(names) > 1,
        )
    return made


def label(model: str) -> str:
    """A model's name in words."""
    if model == MINIATURE:
        return "the shipped miniature"
    other = model.removeprefix(SHIPPED_AS)
    return model if other == model else f"the {other} miniature"
