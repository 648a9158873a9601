"""One tab that generates: its controls on the left, what came of them on the right."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from mmcache_demos.app.board import ANSWERED, QUIET, Board, no_board
from mmcache_demos.app.controlnet_board import controlnet_board
from mmcache_demos.app.controls import Components, cost_control, prompt_control, sampling_controls
from mmcache_demos.app.costs import Slider
from mmcache_demos.app.demo_tabs import DrawingTab
from mmcache_demos.app.examples import example_buttons
from mmcache_demos.app.first_picture_board import first_picture_board
from mmcache_demos.app.guards import RUNS
from mmcache_demos.app.inpainting_board import inpainting_board
from mmcache_demos.app.link import query_of
from mmcache_demos.app.memory import remember
from mmcache_demos.app.messages import told_to_visitor
from mmcache_demos.app.model_plans import deepest_branch, recommended_plan
from mmcache_demos.app.plan_choice import SLIDER
from mmcache_demos.app.plan_controls import plan_controls
from mmcache_demos.app.plan_preview import plan_preview, sentence, speed_preview
from mmcache_demos.app.progress import Seen
from mmcache_demos.app.result import stored_markup
from mmcache_demos.app.service import Service
from mmcache_demos.app.settings import NAMES, Settings, read_settings
from mmcache_demos.app.showing import shown
from mmcache_demos.app.stops import stops
from mmcache_demos.app.stored import stored

IDLE = '<div class="mm-idle"><p>Nothing compared yet. Press <b>Compare</b>.</p></div>'
WHOLE_LINK = """(query) => {
    const link = location.origin + location.pathname + "?" + query;
    history.replaceState(null, "", link);
    try { sessionStorage.setItem("mmcache-address", location.search); } catch { /* it is kept nowhere */ }
    navigator.clipboard?.writeText(link).catch(() => {});
    return link;
}"""
TO_EXPLORE = "() => document.querySelector('[role=tab][data-tab-id=explore]').click()"


@dataclass(frozen=True)
class BuiltTab:
    """What the page needs of a tab.

    Attributes:
        tab: its description.
        usual: what it begins with.
        controls: by the names of `settings.READERS`, in their order.
    """

    tab: DrawingTab
    usual: Settings
    controls: Components


def build_tab(tab: DrawingTab, service: Service, gallery: gr.HTML) -> BuiltTab:
    """Build it where it is called for.

    Args:
        tab: what it is.
        service: what runs.
        gallery: shows the visit's comparisons.
    """
    name, limits = tab.task.name, service.limits
    usual = tab.settings(service.models.offer.names(tab.task)[0], limits)
    slider = service.slider(tab, usual)
    usual = replace(usual, plan=replace(usual.plan, cost=slider.recommended.name))
    with gr.Row(elem_classes="mm-columns"):
        with gr.Column(scale=4, min_width=280, elem_classes="mm-controls"):
            gr.HTML(f'<p class="mm-says">{tab.says}</p>', apply_default_css=False)
            board = board_for(tab, service)
            made = prompt_control(usual, limits)
            examples = example_buttons(tab)
            made |= cost_control(slider, "")
            said = gr.HTML(elem_classes="mm-said", apply_default_css=False)
            with gr.Row(elem_classes="mm-go"):
                # Seen on a phone only, where the row stays at the bottom of the screen.
                yours = "Your image" if board.inputs else "Your prompt"
                gr.Button(yours, scale=2, min_width=72, elem_classes="mm-to-controls")
                go = gr.Button("Compare", variant="primary", scale=3, elem_id=f"go-{name}")
                stop = gr.Button("Stop", scale=1, min_width=72, interactive=False, elem_id=f"stop-{name}")
            with gr.Accordion("Expert", open=False, elem_classes="mm-expert"):
                deepest = deepest_branch(service.models, tab.task, usual.model)
                made |= plan_controls(list(service.plans), deepest, limits.steps)
                preview = gr.HTML(elem_classes="mm-plan-preview", apply_default_css=False)
                made |= sampling_controls(usual, limits, service.models.offer, tab.task)
                explore = gr.Button("Explore what a cached step runs", size="sm")
                share = gr.Button("Copy link to these settings", size="sm", elem_id=f"link-{name}")
                link = gr.Textbox(label="Link", visible=False, interactive=False, buttons=["copy"])
        with gr.Column(scale=8, min_width=280, elem_classes="mm-outcome", elem_id=f"outcome-{name}"):
            progress = gr.HTML(elem_id=f"progress-{name}", apply_default_css=False)
            begins_with = stored(name)
            result = gr.HTML(
                stored_markup(begins_with) if begins_with else IDLE,
                elem_id=f"result-{name}",
                apply_default_css=False,
            )

    controls = {field: made[field] for field in NAMES if field in made}
    inputs = list(controls.values())
    outputs = [progress, result, gallery, stop]

    def settings_from(values: tuple[Any, ...]) -> Settings:
        return read_settings(dict(zip(controls, values, strict=True)), limits)

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
        service.stop(request, name)

    def previewed(*values: Any) -> tuple[Any, ...]:
        """The slider's stops at these settings, what the chosen one holds, and the plan for experts."""
        try:
            settings = settings_from(values)
            slider = service.slider(tab, settings)
            cost = slider.nearest(settings.plan.cost)
            plan = service.plan(tab, settings) or recommended_plan(service.models, tab.task, settings.model)
            at_cost = service.plan(tab, replace(settings, plan=replace(settings.plan, name=SLIDER)))
        except ValueError as error:
            return gr.skip(), sentence(str(error)), sentence(str(error)), gr.skip()
        assert at_cost is not None
        deepest = deepest_branch(service.models, tab.task, settings.model)
        return (
            stops_update(slider, settings.plan.cost),
            speed_preview(slider, cost, at_cost, settings.steps),
            plan_preview(plan, settings.steps),
            at_most(deepest, settings.plan.branch),
        )

    def linked(*values: Any) -> Any:
        with told_to_visitor():
            return gr.Textbox(query_of(name, settings_from(values), usual), visible=True)

    # Only one of them is open to programs; they are the same order, given in another way.
    triggers = [(go.click, "undocumented"), (controls["prompt"].submit, "private")]
    for button, example in zip(examples, tab.examples, strict=True):
        given = partial(lambda example: (example.prompt, example.seed), example)
        chosen = button.click(given, None, [controls["prompt"], controls["seed"]], **QUIET)
        triggers.append((chosen.then, "private"))
    for trigger, visibility in triggers:
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
    shows = [controls["cost"], said, preview, controls["branch"]]
    changing = [controls[field] for field in NAMES if field in controls and field not in ("prompt", "seed")]
    gr.on([control.change for control in changing], previewed, inputs, shows, **QUIET)
    said.value, preview.value = previewed_at_first(tab, service, usual)
    gr.on(
        [control.change for control in inputs],
        None,
        inputs,
        None,
        js=remember(name, list(controls)),
        api_visibility="private",
        queue=False,
    )
    explore.click(None, None, None, js=TO_EXPLORE, api_visibility="private")
    share.click(linked, inputs, link, **ANSWERED).success(
        None, link, link, js=WHOLE_LINK, api_visibility="private"
    )
    return BuiltTab(tab, usual, controls)


def stops_update(slider: Slider, chosen: str) -> Any:
    """The stops; the choice changes only where its stop is gone, as a visitor may be a click ahead."""
    if chosen in [cost.name for cost in slider.costs]:
        return gr.update(choices=stops(slider))
    return gr.update(choices=stops(slider), value=slider.nearest(chosen).name)


def at_most(deepest: int, chosen: int) -> Any:
    """The bound of the branches, and the choice where it lies beyond."""
    if chosen <= deepest:
        return gr.update(maximum=max(1, deepest))
    return gr.update(maximum=max(1, deepest), value=deepest)


def previewed_at_first(tab: DrawingTab, service: Service, usual: Settings) -> tuple[str, str]:
    """What stands below the slider and under "Expert" before anything is changed."""
    slider, plan = service.slider(tab, usual), service.plan(tab, usual)
    assert plan is not None
    said = speed_preview(slider, slider.nearest(usual.plan.cost), plan, usual.steps)
    return said, plan_preview(plan, usual.steps)


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
