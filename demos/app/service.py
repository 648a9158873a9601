"""What the page asks for: a visitor's order, run when its turn has come, and remembered for that visitor."""

import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from mmcache.plans.plan import Plan
from mmcache.tools.quality.metrics import require_torchmetrics
from mmcache.tools.running.call_settings import has_argument
from mmcache.tools.sweeping.settings import content_mark
from mmcache_demos.app.background import Done, news_of
from mmcache_demos.app.board import Board
from mmcache_demos.app.costs import Slider, slider_for
from mmcache_demos.app.demo_tabs import DRAWING_TABS, DrawingTab
from mmcache_demos.app.explore import Explorer
from mmcache_demos.app.fields import field_of
from mmcache_demos.app.limits import LimitError, Limits
from mmcache_demos.app.model_plans import family_for
from mmcache_demos.app.models import Models, Offer, needed_call
from mmcache_demos.app.orders import PREVIEWS, Order, Ran
from mmcache_demos.app.plan_choice import SLIDER, PlanChoice
from mmcache_demos.app.result import files_of, headline, result_markup
from mmcache_demos.app.runs import run_both
from mmcache_demos.app.settings import MINIATURE, Settings
from mmcache_demos.app.visits import Past, Visit, Visits, order_name
from mmcache_demos.app.watching import Progress, Stopped

QUIET = 3.0  # seconds between two looks whether a run goes on


class Service:
    """One server: its models, plans, limits and visitors.

    Attributes:
        over: set when the server ends.
        at_rest: it has ended, and nothing of it runs any more.
    """

    def __init__(self, offer: Offer, plans: Mapping[str, Path], limits: Limits, folder: Path) -> None:
        self.limits = limits
        self.plans = plans
        self.models = Models(offer, limits.models)
        self.explorer = Explorer(self.models)
        self.over = threading.Event()
        self.at_rest = False
        self._preparing = threading.Lock()
        self.visits = Visits(folder, limits)

    def prepare(self, warm: bool) -> None:
        """Draw what "Explore" shows first.

        Args:
            warm: before it, import and load what a first visitor waits for, while the page goes to the
                browser, and draw every model; the drawing comes when nothing runs, since a run needs the
                processor more.
        """
        with self._preparing:
            if warm:
                self._warm_up()
            for name in self.explorer.names[: None if warm else 1]:
                while warm and not self.over.wait(QUIET) and self.models.running.locked():
                    pass
                if self.over.is_set():
                    return
                self.explorer.prepare(name)

    def _warm_up(self) -> None:
        task = DRAWING_TABS[0].task
        if not self.over.is_set():
            require_torchmetrics()
        if not self.over.is_set() and self.models.offer.names(task)[0] == MINIATURE:
            self.models.pipe_for(task, MINIATURE)

    def stop_all(self) -> None:
        """End all runs, at the end of the step that each is in, and prepare for nobody any more."""
        self.over.set()
        self.visits.stop_all()

    def end(self, patience: float) -> None:
        """Stop, and wait until nothing runs any more.

        An interpreter that ends under a thread in torch aborts.

        Args:
            patience: seconds; `at_rest` says whether they were enough. -1 waits as long as it takes.
        """
        self.stop_all()
        until = time.monotonic() + patience
        self.at_rest = True
        for lock in (self.models.running, self._preparing):
            if lock.acquire(timeout=patience if patience < 0 else max(0.0, until - time.monotonic())):
                lock.release()
            else:
                self.at_rest = False

    def visit(self, request: Any) -> Visit:
        """That of a request."""
        return self.visits.of(str(request.session_hash))

    def slider(self, tab: DrawingTab, settings: Settings) -> Slider:
        """The costs that can be chosen at some settings."""
        family = family_for(self.models, tab.task, settings.model)
        return slider_for(settings, tab.task.name, family)

    def plan(self, tab: DrawingTab, settings: Settings) -> Plan | None:
        """The plan of an order; None for the library's default of a model that is not in memory yet.

        Raises:
            ValueError: a part of it is wrong.
        """
        family = family_for(self.models, tab.task, settings.model)
        plan = settings.plan.plan(self.plans, family)
        if plan is None and settings.plan.name == SLIDER:
            return self.slider(tab, settings).nearest(settings.plan.cost).make(family)
        return plan

    def stop(self, request: Any, task: str) -> None:
        """A visitor ends a run."""
        self.visit(request).stop(order_name(str(request.session_hash), task))

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
        visit.asks_for(order_name(str(request.session_hash), task))

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
        name = order_name(str(request.session_hash), tab.task.name)
        stop = visit.expects(name)
        try:
            self.plan(tab, settings)  # what is wrong with it is said before a model is loaded
            if self.models.loaded(tab.task, settings.model) is None:
                yield "Loading the model"
            pipe = self.models.pipe_for(tab.task, settings.model)
            plan = self.plan(tab, settings)
            if plan is not None:
                with field_of("plan"):
                    plan.check_total(settings.steps)
            needed = needed_call(tab.task, settings.model)
            with field_of("board"):
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
                previews=PREVIEWS if settings.previews else 0,
            )
            key = full_run_key(tab, settings, order.call)
            kept = visit.full_run(key)

            def work(tell: Callable[[Progress], None]) -> Ran:
                with self.models.running:
                    if stop.is_set():
                        raise Stopped
                    return run_both(pipe, order, kept, stop, tell)

            with closing(news_of(work, stop, side_of)) as all_news:
                for news in all_news:
                    if isinstance(news, Done):
                        visit.keep_full_run(key, news.result.full)
                        yield remembered(visit, tab, settings, news.result, kept is not None)
                    else:
                        yield news
        finally:
            visit.ended(name)


def side_of(news: Progress) -> str:
    """News about one run do not take the place of those about the other."""
    return news.side


def sizes(settings: Settings) -> dict[str, int]:
    """What the visitor has said about the size of the result."""
    said = {"width": settings.width, "height": settings.height, "num_frames": settings.frames}
    return {name: value for name, value in said.items() if value is not None}


def full_run_key(tab: DrawingTab, settings: Settings, call: Mapping[str, Any]) -> tuple[Any, ...]:
    """The same for all orders whose full run is the same: whatever is asked for, but the plan."""
    pictures = tuple(content_mark(value) for value in call.values() if isinstance(value, Image.Image))
    return tab.task.name, replace(settings, plan=PlanChoice(), previews=False), pictures


def remembered(visit: Visit, tab: DrawingTab, settings: Settings, ran: Ran, full_was_kept: bool) -> Past:
    """Write the files of a comparison and put it into the visitor's gallery."""
    files = visit.write(files_of(ran))
    past = Past(
        f"{tab.title}: {settings.prompt}, seed {settings.seed}",
        headline(ran.found),
        result_markup(ran, files, full_was_kept),
        files,
    )
    visit.remember(past)
    return past
