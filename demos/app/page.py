"""The page: its heading, its tabs, and what its address asks for."""

from functools import partial
from typing import Any

import gradio as gr

from mmcache_demos.app.controls import label
from mmcache_demos.app.demo_tabs import DRAWING_TABS
from mmcache_demos.app.explore_tab import build_explore_tab
from mmcache_demos.app.gallery import EMPTY
from mmcache_demos.app.guards import held_runs, refuse_more_runs, refuse_quietly
from mmcache_demos.app.link import read_query
from mmcache_demos.app.markup import text
from mmcache_demos.app.messages import warn_visitor
from mmcache_demos.app.server import SWEEP
from mmcache_demos.app.service import Service
from mmcache_demos.app.tab import build_tab

TITLE = "mmcache: cached and full, side by side"
HEADING = """<header class="mm-head"><h1>Cached and full, side by side</h1>
<p>A diffusion model runs its network once per step, and from step to step its deep features hardly change.
mmcache keeps them, and runs only the outermost layers in between. Here you see what that saves, and what it
changes in the picture.</p></header>"""
GALLERY, EXPLORE = "gallery", "explore"


def build(service: Service) -> gr.Blocks:
    """The whole page.

    Args:
        service: what its buttons ask.
    """
    limits = service.limits
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(SWEEP, limits.idle_seconds), fill_width=True
    ) as page:
        gr.HTML(HEADING, apply_default_css=False)
        gallery = gr.HTML(EMPTY, render=False, elem_id="gallery", apply_default_css=False)
        with gr.Tabs(elem_id="tabs") as tabs:
            built = []
            for tab in DRAWING_TABS:
                with gr.Tab(tab.title, id=tab.task.name):
                    built.append(build_tab(tab, service, gallery))
            with gr.Tab("Explore", id=EXPLORE) as explore:
                build_explore_tab(explore, service)
            with gr.Tab("This visit", id=GALLERY):
                gallery.render()
        names = dict.fromkeys(name for tab in DRAWING_TABS for name in service.models.offer.names(tab.task))
        offered = text(", ".join(map(label, names)))
        gr.HTML(
            f'<footer class="mm-foot"><p>Models: {offered}. {text(limits.in_words())} Your pictures are '
            f"seen by nobody else, and are deleted {limits.idle_seconds // 60} minutes after you were last "
            f"here, or when the server ends.</p></footer>",
            apply_default_css=False,
        )

        defaults = {
            one.tab.task.name: one.tab.settings(service.models.offer.names(one.tab.task)[0]) for one in built
        }

        def restore(request: gr.Request) -> list[Any]:
            try:
                asked = read_query(
                    dict(request.query_params), defaults, limits, service.plans, service.models.offer
                )
            except ValueError as error:
                warn_visitor(ValueError(f"This page's link asks for something that cannot be: {error}"))
                asked = None
            tab, settings = asked or (None, None)
            updates: list[Any] = [gr.skip() if tab is None else gr.Tabs(selected=tab)]
            for one in built:
                values = settings.flat() if settings and one.tab.task.name == tab else {}
                updates += [values.get(name, gr.skip()) for name in one.controls]
            return updates

        def left(request: gr.Request) -> None:
            service.visits.left(str(request.session_hash))

        controls = [control for one in built for control in one.controls.values()]
        page.load(restore, None, [tabs, *controls], api_visibility="private", show_progress="hidden")
        page.unload(left)
    page.queue(max_size=4 * limits.waiting, default_concurrency_limit=8, api_open=False)
    refuse_more_runs(page, limits)
    refuse_quietly(page)
    service.visits.held = partial(held_runs, page)
    return page
