"""The page: its heading, its tabs, and what its address asks for."""

from functools import partial
from typing import Any

import gradio as gr

from mmcache_demos.app.about import links
from mmcache_demos.app.demo_tabs import DRAWING_TABS
from mmcache_demos.app.explore_tab import build_explore_tab
from mmcache_demos.app.gallery import EMPTY, gallery_markup
from mmcache_demos.app.guards import held_runs, refuse_more_runs, refuse_quietly
from mmcache_demos.app.link import TAB, read_query
from mmcache_demos.app.markup import text
from mmcache_demos.app.memory import RECALL, Memory, read_memory
from mmcache_demos.app.messages import warn_visitor
from mmcache_demos.app.models import label
from mmcache_demos.app.own_files import TITLE
from mmcache_demos.app.server import SWEEP
from mmcache_demos.app.service import Service
from mmcache_demos.app.settings import Settings
from mmcache_demos.app.stops import stops
from mmcache_demos.app.tab import BuiltTab, build_tab

HEADING = """<header class="mm-head"><h1>mmcache</h1>
<p>Diffusion models with less work, without training.</p>
<nav aria-label="About">{links}</nav></header>"""
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
        gr.HTML(HEADING.format(links=links()), apply_default_css=False)
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
        gr.HTML(footer(service), apply_default_css=False)
        said = gr.Textbox(visible=False)

        def restore(request: gr.Request, memory: str) -> list[Any]:
            known = read_memory(memory)
            visit = service.visits.comes_back(str(request.session_hash), known.visit)
            tab, wanted = wanted_settings(dict(request.query_params), known, built, service)
            updates: list[Any] = [gr.Tabs(selected=tab) if tab else gr.skip(), gallery_markup(visit.gallery)]
            for one in built:
                updates += control_updates(one, wanted.get(one.tab.task.name), service)
            return updates

        def left(request: gr.Request) -> None:
            service.visits.left(str(request.session_hash))

        controls = [control for one in built for control in one.controls.values()]
        page.load(
            restore,
            said,
            [tabs, gallery, *controls],
            js=RECALL,
            api_visibility="private",
            show_progress="hidden",
        )
        page.unload(left)
    page.queue(max_size=4 * limits.waiting, default_concurrency_limit=8, api_open=False)
    refuse_more_runs(page, limits)
    refuse_quietly(page)
    service.visits.held = partial(held_runs, page)
    return page


def footer(service: Service) -> str:
    """Links to the project, which models there are, the limits, and what becomes of a visitor's images."""
    names = dict.fromkeys(
        label(name, tab.task) for tab in DRAWING_TABS for name in service.models.offer.names(tab.task)
    )
    minutes = service.limits.idle_seconds // 60
    return (
        f'<footer class="mm-foot"><p class="mm-links">{links()}</p>'
        f"<p>Models: {text(', '.join(names))}. {text(service.limits.in_words())} "
        f"Your images are seen by nobody else, and are deleted {minutes} minutes after your last visit, or "
        f"when the server ends.</p></footer>"
    )


def wanted_settings(
    query: dict[str, Any], memory: Memory, built: list[BuiltTab], service: Service
) -> tuple[str, dict[str, Settings]]:
    """The tab to open ("" for the first), and the settings of each tab that is not as usual.

    What the page has kept goes before what its address asks for: it is younger. A bad value of the address is
    said, one that was kept is left out.
    """
    defaults = {one.tab.task.name: one.usual for one in built}
    plans, offer = service.plans, service.models.offer
    wanted: dict[str, Settings] = {}
    asked = read_query(query, defaults, service.limits, plans, offer)
    if asked is not None:
        wanted[asked.tab] = asked.settings
        for complaint in asked.complaints:
            warn_visitor(f"One value of this link was left out. {complaint}")
    for name, values in memory.settings.items():
        if name in defaults:
            kept = read_query({TAB: name, **values}, defaults, service.limits, plans, offer)
            if kept is not None:
                wanted[name] = kept.settings
    tabs = (*defaults, EXPLORE, GALLERY)
    tab = memory.tab if memory.tab in tabs else (asked.tab if asked else "")
    return tab, wanted


def control_updates(one: BuiltTab, settings: Settings | None, service: Service) -> list[Any]:
    """What becomes of a tab's controls."""
    if settings is None:
        # An empty number is told again: gradio shows it as 0 until then.
        usual = one.usual.flat()
        return [None if usual.get(name, "") is None else gr.skip() for name in one.controls]
    values = settings.flat()
    slider = service.slider(one.tab, settings)
    values["cost"] = gr.update(choices=stops(slider), value=slider.nearest(settings.plan.cost).name)
    return [values.get(name, gr.skip()) for name in one.controls]
