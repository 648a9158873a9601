"""One tab that draws: its controls on the left, what came of them on the right."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from mmcache_demos.app.board import ANSWERED, QUIET, Board, no_board
from mmcache_demos.app.controlnet_board import controlnet_board
from mmcache_demos.app.controls import Components, caching_controls, prompt_control, sampling_controls
from mmcache_demos.app.demo_tabs import DrawingTab
from mmcache_demos.app.first_picture_board import first_picture_board
from mmcache_demos.app.guards import RUNS
from mmcache_demos.app.inpainting_board import inpainting_board
from mmcache_demos.app.link import query_of
from mmcache_demos.app.messages import told_to_visitor
from mmcache_demos.app.model_plans import family_for, recommended_plan
from mmcache_demos.app.plan_preview import plan_preview, sentence
from mmcache_demos.app.progress import Seen
from mmcache_demos.app.service import Service
from mmcache_demos.app.settings import Settings, read_settings
from mmcache_demos.app.showing import shown

IDLE = (
    '<div class="mm-idle"><p>Nothing compared yet. Press <b>Compare</b>: the prompt is drawn in full, then '
    "with a cache, from the same noise.</p></div>"
)
WHOLE_LINK = """(query) => {
    const link = location.origin + location.pathname + "?" + query;
    history.replaceState(null, "", link);
    navigator.clipboard?.writeText(link).catch(() => {});
    return link;
}"""


@dataclass(frozen=True)
class BuiltTab:
    """What the page needs of a tab.

    Attributes:
        tab: its description.
        controls: by the names of `settings.READERS`.
    """

    tab: DrawingTab
    controls: Components


def build_tab(tab: DrawingTab, service: Service, gallery: gr.HTML) -> BuiltTab:
    """Build it where it is called for.

    Args:
        tab: what it is.
        service: what runs.
        gallery: shows the visit's comparisons.
    """
    name = tab.task.name
    usual = tab.settings(service.models.offer.names(tab.task)[0])
    with gr.Row(elem_classes="mm-columns"):
        with gr.Column(scale=4, min_width=300, elem_classes="mm-controls"):
            gr.HTML(f'<p class="mm-says">{tab.says}</p>', apply_default_css=False)
            controls = prompt_control(usual, service.limits)
            board = board_for(tab, service)
            with gr.Row(elem_classes="mm-go"):
                go = gr.Button("Compare", variant="primary", scale=3, elem_id=f"go-{name}")
                stop = gr.Button("Stop", scale=1, min_width=72, interactive=False, elem_id=f"stop-{name}")
            begins_with = recommended_plan(service.models, tab.task, usual.model)
            caching, preview = caching_controls(list(service.plans), plan_preview(begins_with, usual.steps))
            controls |= caching | sampling_controls(usual, service.limits, service.models.offer, tab.task)
            examples = gr.Examples(
                [[example.prompt, example.seed] for example in tab.examples],
                [controls["prompt"], controls["seed"]],
                label="Examples: one click compares",
                example_labels=[example.label for example in tab.examples],
                elem_id=f"examples-{name}",
                api_visibility="private",
            )
            share = gr.Button("Copy link to these settings", size="sm", elem_id=f"link-{name}")
            link = gr.Textbox(label="Link", visible=False, interactive=False, buttons=["copy"])
        with gr.Column(scale=8, min_width=300, elem_classes="mm-outcome"):
            progress = gr.HTML(elem_id=f"progress-{name}", apply_default_css=False)
            result = gr.HTML(IDLE, elem_id=f"result-{name}", apply_default_css=False)

    inputs = list(controls.values())
    outputs = [progress, result, gallery, stop]

    def settings_from(values: tuple[Any, ...]) -> Settings:
        return read_settings(dict(zip(controls, values, strict=True)), service.limits)

    def begin(request: gr.Request, *values: Any) -> tuple[Any, ...]:
        with told_to_visitor():
            settings_from(values)
            service.takes_order(request, name)
        return Seen().markup(), gr.Button(interactive=True)

    def run(request: gr.Request, *values: Any) -> Iterator[tuple[Any, ...]]:
        count = len(inputs)
        news = partial(service.compare, request, tab, board=board, given=values[count:])
        yield from shown(lambda: news(settings_from(values[:count])), service.visit(request))

    def stopped(request: gr.Request) -> None:
        service.visit(request).stop(name)

    def previewed(*values: Any) -> str:
        try:
            settings = settings_from(values)
            plan = settings.plan.plan(service.plans, family_for(service.models, tab.task, settings.model))
            plan = plan or recommended_plan(service.models, tab.task, settings.model)
            return plan_preview(plan, settings.steps)
        except ValueError as error:
            return sentence(str(error))

    def linked(*values: Any) -> Any:
        with told_to_visitor():
            return gr.Textbox(query_of(name, settings_from(values), usual), visible=True)

    # Only one of them is open to programs; they are the same order, given in another way.
    for trigger, visibility in (
        (go.click, "undocumented"),
        (controls["prompt"].submit, "private"),
        (examples.load_input_event.then, "private"),
    ):
        begun = trigger(begin, inputs, [progress, stop], **ANSWERED)
        begun.success(
            run,
            [*inputs, *board.inputs],
            outputs,
            concurrency_limit=1,
            concurrency_id=RUNS,
            api_name=f"compare-{name}" if visibility == "undocumented" else None,
            api_visibility=visibility,
            show_progress="hidden",
        )
    stop.click(stopped, None, None, **QUIET)
    for control in (*caching.values(), controls["steps"], controls["model"]):
        control.change(previewed, inputs, preview, **QUIET)
    share.click(linked, inputs, link, **ANSWERED).success(
        None, link, link, js=WHOLE_LINK, api_visibility="private"
    )
    return BuiltTab(tab, controls)


def board_for(tab: DrawingTab, service: Service) -> Board:
    """What the tab needs besides a prompt, built where it is called for."""
    limits, offer = service.limits, service.models.offer
    if tab.task.name == "inpaint":
        return inpainting_board(tab.task, limits)
    if tab.task.name == "controlnet":
        return controlnet_board(tab.task, limits)
    if tab.task.generates_video and (offer.models or offer.typed):  # the miniature begins with noise alone
        return first_picture_board(limits)
    return no_board()
