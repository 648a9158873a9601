"""The demo's runs: they share a processor, step by step, and are those of the pipeline alone."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import mmcache
from mmcache.api.session import session_of
from mmcache.tools.comparison.files import FILES, VIDEO_FILES
from mmcache_demos import load_miniature
from mmcache_demos.app.board import Board
from mmcache_demos.app.demo_tabs import DRAWING_TABS
from mmcache_demos.app.gallery import gallery_markup
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.race import Turns
from mmcache_demos.app.runs import run_both
from mmcache_demos.app.settings import MINIATURE
from mmcache_demos.app.visits import Past, order_name
from mmcache_demos.app.watching import Progress, Stopped
from tests.demo_orders import (
    LIMITS,
    NO_BOARD,
    ORDER,
    STEPS,
    TAB,
    asked,
    news_of,
    ran,
    sides,
    tiny_service,
    visitor,
)
from tests.tiny_prompted import prompted

pytest.importorskip("gradio")


@pytest.fixture
def service(tmp_path, monkeypatch):
    return tiny_service(tmp_path, monkeypatch)


def test_the_page_shows_what_compare_finds(service):
    *_, past = news_of(service, asked(seed=4))
    plan = mmcache.Plan(mmcache.Uniform(3), mmcache.Taylor(1))
    found = mmcache.compare(prompted(), "a cat", plan, steps=STEPS, seed=4, guidance_scale=3.0)
    files = found.files()
    for name in ("full.png", "cached.png"):
        assert past.files[name].read_bytes() == files[name]


def test_progress_is_told_for_each_side(service):
    news = news_of(service, asked())
    assert news[0] == "Loading the model"
    assert sides(news) == {"full", "cached"}
    last = [one for one in news if isinstance(one, Progress) and one.side == "cached"][-1]
    assert last.total == STEPS
    assert last.steps[:4] == [None, 0, 0, None][: len(last.steps)]


def test_another_plan_runs_the_cached_side_alone_and_finds_the_same(service):
    *_, first = news_of(service, asked())
    news = news_of(service, asked(interval=5))
    assert sides(news) == {"cached"}
    assert 'data-kept="true"' in news[-1].page
    assert 'data-kept="false"' in first.page
    *_, afresh = news_of(service, asked(interval=5), who="someone else")
    for name in ("full.png", "cached.png", "difference.png"):
        assert news[-1].files[name].read_bytes() == afresh.files[name].read_bytes()


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"steps": 11}, {"prompt": "a dog"}, {"guidance": 4.0}, {"sampler": "euler"}]
)
def test_any_other_change_needs_a_full_run(service, change):
    news_of(service, asked())
    assert sides(news_of(service, asked(**change))) == {"full", "cached"}


def test_so_many_full_runs_are_kept_and_no_more(service):
    for seed in range(LIMITS.kept_full_runs + 1):
        news_of(service, asked(seed=seed, steps=9))
    assert sides(news_of(service, asked(seed=1, steps=9))) == {"cached"}
    assert sides(news_of(service, asked(seed=0, steps=9))) == {"full", "cached"}


def test_pictures_on_the_way_change_nothing(service):
    *news, past = news_of(service, asked(previews=True))
    assert any(one.preview for one in news if isinstance(one, Progress))
    *_, plain = news_of(service, asked(), who="someone else")
    for name in ("full.png", "cached.png"):
        assert past.files[name].read_bytes() == plain.files[name].read_bytes()
    counted = [json.loads(one.files["report.json"].read_text())["macs_by_component"] for one in (past, plain)]
    assert counted[0] == counted[1]


@pytest.mark.parametrize("side", ["full", "cached"])
def test_a_stopped_run_ends_within_a_step_and_leaves_the_next_one_right(side):
    pipe, stop, told = prompted(), threading.Event(), []
    wanted = ran(prompted())
    scheduler = pipe.scheduler

    def tell(news):
        told.append(news)
        if news.side == side and len(news.steps) == 4:
            stop.set()

    with pytest.raises(Stopped):
        ran(pipe, replace(ORDER, sampler="euler"), stop, tell)
    assert len(told[-1].steps) == 4, "no step was begun that was told after the stop"
    assert session_of(pipe) is None
    assert pipe.scheduler is scheduler
    assert all(map(np.array_equal, ran(pipe), wanted))


def test_a_failed_run_leaves_the_next_one_right():
    pipe, wanted = prompted(), ran(prompted())
    calls = []

    def fail(*_):
        calls.append(1)
        if len(calls) == STEPS + 6:
            raise RuntimeError("a mistake")

    hook = pipe.unet.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="a mistake"):
        ran(pipe)
    hook.remove()
    assert session_of(pipe) is None
    assert all(map(np.array_equal, ran(pipe), wanted))


def test_a_run_that_waits_can_be_stopped_and_the_next_is_not(service):
    service.takes_order(visitor(), TAB.task.name)
    service.stop(visitor(), TAB.task.name)
    with pytest.raises(Stopped):
        news_of(service, asked())
    assert sides(news_of(service, asked())) == {"full", "cached"}


def test_a_stop_of_a_run_that_never_began_is_forgotten(service):
    service.takes_order(visitor(), TAB.task.name)  # and the queue was full
    service.stop(visitor(), TAB.task.name)
    service.takes_order(visitor(), TAB.task.name)
    assert sides(news_of(service, asked())) == {"full", "cached"}


def test_stopping_without_a_run_does_nothing(service):
    service.stop(visitor(), TAB.task.name)
    assert isinstance(news_of(service, asked())[-1], Past)


def test_who_goes_away_stops_waiting_and_the_pipe_is_free(service):
    news = service.compare(visitor(), TAB, asked(steps=100), NO_BOARD, ())
    assert next(news) == "Loading the model"
    assert isinstance(next(news), Progress)
    news.close()
    assert not service.models.running.locked()
    pipe = service.models.pipe_for(TAB.task, MINIATURE)
    assert session_of(pipe) is None


@pytest.mark.parametrize("tab", DRAWING_TABS, ids=lambda tab: tab.task.name)
def test_each_tab_draws(service, tab):
    picture, mask = Image.new("RGB", (40, 30), "gray"), Image.new("L", (40, 30), 255)
    given = {"inpaint": {"image": picture, "mask_image": mask}, "controlnet": {"image": picture}}
    board = Board((), lambda pipe: given.get(tab.task.name, {}))
    written = VIDEO_FILES if tab.task.generates_video else FILES
    frames = {"frames": 3} if tab.task.generates_video else {}
    *_, past = news_of(service, asked(width=64, height=64, **frames), tab=tab, board=board)
    assert {"report.json", "plan.yaml", *written} <= set(past.files)
    assert all(path.stat().st_size for path in past.files.values())
    assert ("<video" in past.page) == tab.task.generates_video
    thumbnail = "<video" if tab.task.generates_video else "<img"
    assert thumbnail in gallery_markup([past]).partition("</summary>")[0]


def test_the_cached_run_is_finished_first_and_both_are_told_on_the_way():
    told = []
    pipe = load_miniature()  # a cached step takes a third of a full one; on tiny models nearly as long
    found = run_both(pipe, replace(ORDER, previews=5), None, threading.Event(), told.append)
    done = next(place for place, one in enumerate(told) if one.side == "cached" and len(one.steps) == STEPS)
    assert any(one.side == "full" for one in told[:done]), "both grow at once"
    assert not [note for note in found.found.report.notes if "another pipeline" in note], "it is our own"
    assert any(one.side == "full" for one in told[done:]), "the full one is not finished yet"
    assert [one.step for one in found.frames["full"]] == [2, 4, 6, 8, 10]
    assert [one.step for one in found.frames["cached"]] == [2, 4, 6, 8, 10]
    seen = [one for one in told if one.side == "full" and len(one.steps) >= 2]
    assert all(one.preview for one in seen), "an image stays until the next one"


def test_the_turn_goes_to_whoever_has_had_the_least():
    turns, order = Turns(["slow", "fast"]), []

    def run(name, seconds):
        turns.wait(name)
        for step in range(1, 5):
            order.append(name)
            turns.pass_on(name, step * seconds)
        turns.leave(name)

    threads = [threading.Thread(target=run, args=each) for each in (("slow", 4.0), ("fast", 1.0))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert order == ["slow", "fast", "fast", "fast", "fast", "slow", "slow", "slow"]


FEW = Limits(steps=8, frames=2)


@pytest.mark.parametrize("tab", DRAWING_TABS, ids=lambda tab: tab.task.name)
def test_limits_bound_what_a_tab_begins_with(tab):
    settings = tab.settings(MINIATURE, FEW)
    settings.check(FEW)
    assert settings.steps == FEW.steps


@pytest.mark.parametrize(
    "tab",
    [
        pytest.param(tab, id=tab.task.name, marks=[] if tab is TAB else pytest.mark.slow)
        for tab in DRAWING_TABS
    ],
)
def test_a_tab_runs_what_it_begins_with_within_limits(tab, tmp_path, monkeypatch):
    service = tiny_service(tmp_path, monkeypatch, FEW)
    settings = replace(tab.settings(MINIATURE, FEW), width=64, height=64)
    picture, mask = Image.new("RGB", (40, 30), "gray"), Image.new("L", (40, 30), 255)
    given = {"inpaint": {"image": picture, "mask_image": mask}, "controlnet": {"image": picture}}
    board = Board((), lambda pipe: given.get(tab.task.name, {}))
    *_, past = news_of(service, settings, tab=tab, board=board)
    assert past.files["report.json"].stat().st_size


def test_two_pages_of_one_visitor_do_not_stop_each_other(service):
    visit = service.visits.comes_back("page one", "a" * 32)
    assert service.visits.comes_back("page two", "a" * 32) is visit
    assert service.visits.comes_back("page three", "b" * 32) is not visit
    first = visit.expects(order_name("page one", TAB.task.name))
    second = visit.expects(order_name("page two", TAB.task.name))
    service.visits.left("page one")
    assert first.is_set()
    assert not second.is_set()
