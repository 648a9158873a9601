"""The controls of a tab that generates: components by the names of `settings.READERS`."""

from typing import Any

import gradio as gr

from mmcache.tools.tasks.samplers import SAMPLERS
from mmcache.tools.tasks.tasks import Task
from mmcache_demos.app.costs import Slider
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.models import Offer, label
from mmcache_demos.app.settings import MOST_GUIDANCE, OWN_SAMPLER, Settings
from mmcache_demos.app.stops import Stops, stops

# By the names of `settings.READERS`; gradio adds their events, such as `change`, as it runs.
Components = dict[str, Any]
DICE = "() => Math.floor(Math.random() * 2147483648)"


def prompt_control(usual: Settings, limits: Limits) -> Components:
    return {
        "prompt": gr.Textbox(
            usual.prompt,
            label="Prompt",
            lines=3,
            max_lines=6,
            max_length=limits.prompt_characters,
            elem_classes="mm-prompt",
        )
    }


def cost_control(slider: Slider, chosen: str) -> Components:
    """The slider whose stops are costs; it is a group of radio buttons, so each stop has a name and a key."""
    return {
        "cost": Stops(
            stops(slider),
            value=slider.nearest(chosen).name,
            label="Speed",
            info="How many times less work, and how close to the full run.",
            elem_classes="mm-stops",
        )
    }


def sampling_controls(usual: Settings, limits: Limits, offer: Offer, task: Task) -> Components:
    """What both runs have in common; a change of any of them needs a new full run."""
    # Numbers have no bounds of gradio's: its messages do not say which field is meant, ours do.
    made: Components = {}
    names = offer.names(task)
    made["steps"] = gr.Slider(
        1, limits.steps, usual.steps, step=1, label="Steps", info="From noise to image, for both runs."
    )
    with gr.Row(elem_classes="mm-seed"):
        made["seed"] = gr.Number(
            usual.seed, precision=0, label="Seed", info="The noise that both runs begin with."
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
                label=name.capitalize(),
                min_width=80,
                placeholder="model's own",
            )
    if usual.frames is not None:
        made["frames"] = gr.Slider(
            1, limits.frames, usual.frames, step=1, label="Frames", info="Of the clip."
        )
    made["previews"] = gr.Checkbox(
        usual.previews, label="Images on the way", info="The time for them is not counted."
    )
    made["model"] = gr.Dropdown(
        [(label(name, task), name) for name in names],
        value=names[0],
        label="Model",
        info="An id of the Hugging Face hub can be typed." if offer.typed else None,
        allow_custom_value=offer.typed,
        interactive=offer.typed or len(names) > 1,
    )
    return made
