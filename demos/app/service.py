"""What the page asks for: a visitor's order, run when its turn has come, and remembered for that visitor."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from mmcache.tools.comparison.comparison import Comparison
from mmcache.tools.running.call_settings import has_argument
from mmcache.tools.sweeping.settings import content_mark
from mmcache_demos.app.background import Done, news_of
from mmcache_demos.app.board import Board
from mmcache_demos.app.demo_tabs import DrawingTab
from mmcache_demos.app.limits import LimitError, Limits
from mmcache_demos.app.model_plans import family_for
from mmcache_demos.app.models import Models, Offer, needed_call
from mmcache_demos.app.plan_choice import PlanChoice
from mmcache_demos.app.result import files_of, result_markup
from mmcache_demos.app.runs import Order, run_both
from mmcache_demos.app.settings import Settings
from mmcache_demos.app.visits import Past, Visit, Visits
from mmcache_demos.app.watching import Progress, Stopped


class Service:
    """One server: its models, plans, limits and visitors."""

    def __init__(self, offer: Offer, plans: Mapping[str, Path], limits: Limits, folder: Path) -> None:
        self.limits = limits
        self.plans = plans
        self.models = Models(offer, limits.models)
        self.visits = Visits(folder, limits)

    def visit(self, request: Any) -> Visit:
        """That of a request."""
        return self.visits.of(str(request.session_hash))

    def takes_order(self, request: Any, task: str) -> None:
        """A visitor asks for a run.

        Raises:
            LimitError: too many wait already.
        """
        visit = self.visit(request)
        if self.visits.runs_beside(str(request.session_hash)) > self.limits.waiting:
            raise LimitError(
                f"{self.limits.waiting} comparisons are waiting already, and no more may: try again soon"
            )
        visit.asks_for(task)

    def compare(
        self, request: Any, tab: DrawingTab, settings: Settings, board: Board, given: Sequence[Any]
    ) -> Generator[Progress | str | Past, None, None]:
        """Run an order.

        Args:
            given: the values of the board's inputs.

        Yields:
            The progress, also in words, and at the end the comparison as the visitor's gallery keeps it.

        Raises:
            Stopped: by the visitor.
            ValueError: what cannot be done.
        """
        visit = self.visit(request)
        stop = visit.expects(tab.task.name)
        try:
            settings.plan.plan(self.plans)  # what is wrong with it is said before a model is loaded
            if self.models.loaded(tab.task, settings.model) is None:
                yield "Loading the model"
            pipe = self.models.pipe_for(tab.task, settings.model)
            plan = settings.plan.plan(self.plans, family_for(self.models, tab.task, settings.model))
            needed = needed_call(tab.task, settings.model)
            call = {**needed, **board.read(pipe, *given), **sizes(settings)}
            self.limits.check("side", max(call.get("width") or 0, call.get("height") or 0))
            order = Order(
                prompt=settings.prompt,
                guidance=settings.guidance,
                plan=plan,
                steps=settings.steps,
                seed=settings.seed,
                sampler=settings.sampler,
                call={
                    name: value
                    for name, value in call.items()
                    if name != "num_frames" or has_argument(pipe, name)
                },
                previews=settings.previews,
            )
            key = full_run_key(tab, settings, order.call)
            kept = visit.full_run(key)

            def work(tell: Any) -> Comparison:
                with self.models.running:
                    if stop.is_set():
                        raise Stopped
                    return run_both(pipe, order, kept, stop, tell)

            with closing(news_of(work, stop)) as all_news:
                for news in all_news:
                    if isinstance(news, Done):
                        visit.keep_full_run(key, news.result.full)
                        yield remembered(visit, tab, settings, news.result, kept is not None)
                    else:
                        yield news
        finally:
            visit.ended(tab.task.name)


def sizes(settings: Settings) -> dict[str, int]:
    """What the visitor has said about the size of what is drawn."""
    said = {"width": settings.width, "height": settings.height, "num_frames": settings.frames}
    return {name: value for name, value in said.items() if value is not None}


def full_run_key(tab: DrawingTab, settings: Settings, call: Mapping[str, Any]) -> tuple[Any, ...]:
    """The same for all orders whose full run is the same: whatever is asked for, but the plan."""
    pictures = tuple(content_mark(value) for value in call.values() if isinstance(value, Image.Image))
    return tab.task.name, replace(settings, plan=PlanChoice(), previews=False), pictures


def remembered(
    visit: Visit, tab: DrawingTab, settings: Settings, found: Comparison, full_was_kept: bool
) -> Past:
    """Write the files of a comparison and put it into the visitor's gallery."""
    files = visit.write(files_of(found))
    title = f"{tab.title}: {settings.prompt} ({found.plan}, seed {settings.seed})"
    past = Past(title, result_markup(found, files, full_was_kept), files)
    visit.remember(past)
    return past
