"""The tab "Explore": a model's U at a branch, and the steps that a plan runs in full."""

from typing import Any

import gradio as gr

from mmcache_demos.app.guards import RUNS
from mmcache_demos.app.messages import told_to_visitor
from mmcache_demos.app.model_plans import MOST_BRANCHES
from mmcache_demos.app.models import label
from mmcache_demos.app.plan_controls import plan_controls
from mmcache_demos.app.plan_preview import plan_preview, sentence
from mmcache_demos.app.service import Service
from mmcache_demos.app.settings import read_settings
from mmcache_demos.app.similarity import SimilarityMaps

BEGINS_WITH = "balanced"
STEPS = 50
WAITS = '<p class="mm-plan">The model is read.</p>'


def build_explore_tab(tab: gr.Tab, service: Service) -> None:
    """Build it where it is called for.

    Args:
        tab: the tab itself; what it shows is made when it is opened for the first time.
    """
    explorer = service.explorer
    maps = SimilarityMaps(service.models)
    first = explorer.names[0]
    with gr.Row(elem_classes="mm-explore-controls"):
        model = gr.Dropdown(
            [(label(name), name) for name in explorer.names], value=first, label="Model", min_width=200
        )
        branch = gr.Slider(
            0,
            MOST_BRANCHES - 1,
            0,
            step=1,
            label="Branch",
            info="How many outer layers stay on a cached step; 0 is the fewest.",
        )
    shape = gr.HTML(WAITS, elem_id="explore-shape", apply_default_css=False)
    gr.HTML("<h2>The steps of a run</h2>", elem_classes="mm-heading", apply_default_css=False)
    strip = gr.HTML(elem_id="explore-strip", apply_default_css=False)
    with gr.Row(elem_classes="mm-explore-controls"):
        steps = gr.Slider(
            1, service.limits.steps, min(STEPS, service.limits.steps), step=1, label="Steps", info="Of a run."
        )
        with gr.Column():
            plan = plan_controls(list(service.plans), MOST_BRANCHES - 1, service.limits.steps, BEGINS_WITH)
    gr.HTML("<h2>Similar features</h2>", elem_classes="mm-heading", apply_default_css=False)
    similar = gr.HTML(maps.known(first), elem_id="explore-similar", apply_default_css=False)
    measure = gr.Button("Measure similar features", size="sm", elem_id="measure-similar")

    def shown(name: str, at: int) -> tuple[str, Any]:
        with told_to_visitor():
            last = explorer.branches(name) - 1
            at = min(int(at), last)
            return explorer.page(name, at), gr.Slider(maximum=last, value=at)

    def measured(name: str) -> str:
        with told_to_visitor():
            return maps.measured(name)

    def stripped(*values: Any) -> str:
        named = dict(zip([*plan, "steps"], values, strict=True))
        try:
            settings = read_settings({"prompt": "any"} | named, service.limits)
            return plan_preview(settings.plan.plan(service.plans), settings.steps)
        except ValueError as error:
            return sentence(str(error))

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
    inputs = [*plan.values(), steps]
    for event in (tab.select, model.change, branch.release):
        event(shown, [model, branch], [shape, branch], **quiet)
    model.change(maps.known, model, similar, **quiet)
    measure.click(
        measured, model, similar, concurrency_limit=1, concurrency_id=RUNS, api_visibility="private"
    )
    for control in inputs:
        control.change(stripped, inputs, strip, queue=False, **quiet)
    tab.select(stripped, inputs, strip, queue=False, **quiet)
