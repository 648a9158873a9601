"""The demo's visitors: each gets what is theirs, and nothing of others; what is written is text."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mmcache_demos.app.figures import MEANINGS, figures_of
from mmcache_demos.app.gallery import gallery_markup
from mmcache_demos.app.limits import LimitError, Limits
from mmcache_demos.app.progress import Seen
from mmcache_demos.app.runs import run_both
from mmcache_demos.app.visits import Past, Visits
from mmcache_demos.app.watching import Progress, Stopped
from tests.demo_orders import LIMITS, ORDER, asked, news_of, pixels, ran, sides, tiny_service, visitor
from tests.tiny_prompted import prompted

pytest.importorskip("gradio")


@pytest.fixture
def service(tmp_path, monkeypatch):
    return tiny_service(tmp_path, monkeypatch)


def test_two_visitors_at_once_get_their_own(service):
    alone = {
        who: ran(prompted(), replace(ORDER, seed=seed, plan=asked().plan.plan({})))
        for seed, who in enumerate(("one", "two"))
    }
    found = {}

    def visit(seed, who):
        found[who] = news_of(service, asked(seed=seed), who=who)[-1]

    threads = [threading.Thread(target=visit, args=each) for each in enumerate(alone)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for who, (full, _) in alone.items():
        assert np.array_equal(pixels(found[who], "full.png"), np.rint(full[0] * 255).astype(np.uint8))
        assert list(service.visit(visitor(who)).gallery) == [found[who]]
    assert not set(found["one"].files.values()) & set(found["two"].files.values())


def test_a_full_run_is_kept_for_its_visitor_only(service):
    news_of(service, asked(), who="one")
    assert sides(news_of(service, asked(interval=5), who="two")) == {"full", "cached"}


def test_the_gallery_and_its_files_have_an_end(tmp_path):
    visit = Visits(tmp_path, Limits(gallery=2)).of("someone")
    for number in range(3):
        files = visit.write({"side-by-side.png": b"%d" % number})
        visit.remember(Past(f"number {number}", "", "", files))
    assert [past.title for past in visit.gallery] == ["number 2", "number 1"]
    assert len(list(tmp_path.rglob("*.png"))) == 2


def test_idle_visitors_are_forgotten_with_their_files(tmp_path):
    visits = Visits(tmp_path, Limits(idle_seconds=1))
    first = visits.of("one")
    first.write({"full.png": b"x"})
    first.expects("inpaint")
    first.last_seen -= 2
    visits.forget_idle()
    assert list(tmp_path.rglob("*.png")), "a visit whose run goes on is not idle"
    first.ended("inpaint")
    first.last_seen -= 2
    visits.forget_idle()
    assert not list(tmp_path.rglob("*.png"))
    assert visits.of("one") is not first
    with pytest.raises(Stopped):
        first.write({"full.png": b"x"})  # by a run that ended too late


def test_so_many_visitors_are_kept_and_the_idlest_makes_room(tmp_path):
    visits = Visits(tmp_path, Limits(visits=2))
    idle, busy = visits.of("idle"), visits.of("busy")
    busy.expects("inpaint")
    busy.last_seen -= 5
    visits.of("new")
    assert visits.of("busy") is busy
    assert visits.of("idle") is not idle


def test_no_more_orders_are_taken_than_may_wait(service):
    for number in range(LIMITS.waiting + 1):
        service.takes_order(SimpleNamespace(session_hash=f"visitor {number}"), "inpaint")
    with pytest.raises(LimitError, match="are waiting already"):
        service.takes_order(SimpleNamespace(session_hash="one more"), "inpaint")
    service.takes_order(SimpleNamespace(session_hash="visitor 0"), "inpaint")  # its own is counted already


def test_whatever_was_written_is_text_on_the_page(service):
    *_, past = news_of(service, asked(prompt='<img src=x onerror="alert(1)"> {{value}} ${1}'))
    for page in (past.page, gallery_markup([past])):
        assert "<img src=x" not in page
        assert "&lt;img src=x onerror=&quot;" in page


def test_every_figure_is_explained(service):
    pipe = prompted()
    found = run_both(pipe, ORDER, None, threading.Event(), lambda news: None)
    figures = figures_of(found.found, full_was_kept=False)
    assert {figure.meaning for figure in figures} == set(MEANINGS) - {"VMAF"}


def test_progress_says_who_is_finished():
    seen = Seen()
    seen.hears(Progress("full", [None] * 4, 10))
    seen.hears(Progress("cached", [None, 0], 10))
    assert "step 2 of 10" in seen.markup()
    seen.hears(Progress("cached", [None, 0] * 5, 10))
    assert "The full run is at 40%" in seen.markup()
    assert "10 steps, finished" in seen.markup()


def test_the_gallery_comes_back_with_the_secret_of_a_tab_and_not_without(service):
    service.visits.comes_back("before the reload", "a" * 32)
    *_, past = news_of(service, asked(), who="before the reload")
    assert list(service.visits.comes_back("after it", "a" * 32).gallery) == [past]
    for token in ("b" * 32, "", "a", "token " + "a" * 32, "../" + "a" * 29):
        assert not service.visits.comes_back(f"someone {token}", token).gallery


def test_the_gallery_says_how_fast_and_how_close(service):
    *_, past = news_of(service, asked())
    shown = gallery_markup([past])
    assert " dB" in past.says
    assert "faster" in past.says or "less work" in past.says
    assert past.says.split(".")[0] in shown
    assert "<img" in shown
