"""The demo without a browser: what a visitor may ask for, what is kept, and what others never see."""

import json
import struct
import threading
import zlib
from contextlib import closing
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from urllib.parse import parse_qsl

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import mmcache
from mmcache.api.session import session_of
from mmcache.cli import app
from mmcache.tools.comparison.comparison import FILES
from mmcache.tools.comparison.video_comparison import VIDEO_FILES
from mmcache.tools.media.image_files import ImageFileError
from mmcache.tools.tasks.tasks import find_task
from mmcache_demos import load_miniature
from mmcache_demos.app import painting
from mmcache_demos.app.board import Board
from mmcache_demos.app.demo_tabs import DRAWING_TABS
from mmcache_demos.app.figures import MEANINGS, figures_of
from mmcache_demos.app.gallery import gallery_markup
from mmcache_demos.app.limits import LimitError, Limits
from mmcache_demos.app.link import query_of, read_query
from mmcache_demos.app.models import ModelRefusedError, Models, Offer
from mmcache_demos.app.plan_choice import FORECASTS, OWN, POLICIES, PlanChoice, named_plans
from mmcache_demos.app.plan_preview import planned
from mmcache_demos.app.progress import Seen
from mmcache_demos.app.runs import Order, run_both
from mmcache_demos.app.service import Service
from mmcache_demos.app.settings import MINIATURE, SHIPPED_AS, Settings, read_settings
from mmcache_demos.app.similarity import SimilarityMaps
from mmcache_demos.app.uploads import read_upload
from mmcache_demos.app.visits import Past, Visits
from mmcache_demos.app.watching import Progress, Stopped
from tests.tiny_prompted import controlled, inpainting, moving, prompted

pytest.importorskip("gradio")

STEPS = 10
LIMITS = Limits()
TAB = DRAWING_TABS[0]
PIPES = {
    "text-to-image": prompted,
    "inpainting": inpainting,
    "controlnet": controlled,
    "text-to-video": moving,
    "transformer": partial(load_miniature, "transformer"),
}


@pytest.fixture
def service(tmp_path, monkeypatch):
    """A server whose miniatures are tiny random pipelines."""
    monkeypatch.setattr("mmcache_demos.app.models.load_miniature", lambda name, **options: PIPES[name]())
    return Service(Offer(), named_plans({}), LIMITS, tmp_path)


def visitor(name="someone"):
    return SimpleNamespace(session_hash=name)


def asked(**changes):
    plan = PlanChoice(OWN, interval=changes.pop("interval", 3))
    return Settings(**{"prompt": "a cat", "steps": STEPS, "plan": plan} | changes)


NO_BOARD = Board((), lambda pipe: {})


def news_of(service, settings, who="someone", tab=TAB, board=NO_BOARD, given=()):
    with closing(service.compare(visitor(who), tab, settings, board, given)) as news:
        return list(news)


def sides(news):
    return {one.side for one in news if isinstance(one, Progress)}


def pixels(past, name):
    return np.asarray(Image.open(past.files[name]))


# ---------------------------------------------------------------- what may be asked for


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("steps: 101 asked for", {"steps": 101}),
        ("side: 2000 asked for", {"width": 2000}),
        ("side: 2000 asked for", {"height": 2000}),
        ("frames: 17 asked for", {"frames": 17}),
        ("prompt characters: 1001 asked for", {"prompt": "a" * 1001}),
    ],
)
def test_each_limit_says_what_was_asked_and_what_is_given(words, values):
    with pytest.raises(LimitError, match=words) as refused:
        read_settings({"prompt": "a cat"} | values, LIMITS)
    assert "at most" in str(refused.value)
    assert "Take fewer" in str(refused.value)


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("the prompt is empty", {"prompt": "  "}),
        ("wanted text", {"prompt": ["a"]}),
        ("steps must be", {"steps": 0}),
        ("wanted a whole number", {"steps": 1.5}),
        ("wanted a number", {"steps": True}),
        ("wanted a number", {"guidance": "much"}),
        ("wanted a finite number", {"seed": float("inf")}),
        ("seed must be", {"seed": -1}),
        ("wanted between 0 and", {"guidance": -1}),
        ("unknown scheduler", {"sampler": "eular"}),
        ("width: 8: wanted at least 64", {"width": 8}),
        ("frames: -1: wanted at least 1", {"frames": -1}),
        ("wanted True or False", {"previews": "maybe"}),
        ("unknown setting 'promt'. Did you mean 'prompt'", {"promt": "x"}),
    ],
)
def test_what_no_run_can_have_is_refused(words, values):
    with pytest.raises(ValueError, match=words):
        read_settings({"prompt": "a cat"} | values, LIMITS)


def test_limits_are_checked_when_they_are_made():
    with pytest.raises(ValueError, match=r"Limits\(steps=0\)"):
        Limits(steps=0)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("forecast", FORECASTS)
def test_every_choice_of_the_page_is_a_plan(policy, forecast):
    plan = PlanChoice(OWN, policy=policy, forecast=forecast, branch=1).plan({})
    assert plan.branch == 1
    assert type(plan.policy).__name__.lower().startswith(policy[:4]) or policy == "steps"


def test_plans_by_name_are_files(tmp_path):
    mmcache.save_plan(mmcache.Plan(mmcache.Uniform(7)), tmp_path / "mine.yaml")
    known = named_plans({"mine": tmp_path / "mine.yaml"})
    assert PlanChoice("mine").plan(known) == mmcache.Plan(mmcache.Uniform(7))
    assert PlanChoice("fast").plan(known) == mmcache.load_plan(mmcache.presets()["fast"])
    assert PlanChoice("fast").plan(known, "inpainting").policy == mmcache.Uniform(5, cooldown=2)
    with pytest.raises(ValueError, match="unknown plan 'fats'"):
        PlanChoice("fats").plan(known)
    with pytest.raises(ValueError, match="is there already"):
        named_plans({"fast": tmp_path / "mine.yaml"})


def test_steps_of_a_policy_are_read_one_by_one():
    assert PlanChoice(OWN, policy="steps", full_steps=" 0,4, 9").plan({}).policy == mmcache.StepMask(
        [0, 4, 9]
    )
    with pytest.raises(ValueError, match="'x' is no whole number"):
        PlanChoice(OWN, policy="steps", full_steps="0, x").plan({})


@pytest.mark.parametrize(
    "policy", [mmcache.Uniform(3), mmcache.NonUniform(3, center=4), mmcache.StepMask([0, 1, 7])]
)
def test_the_strip_before_a_run_is_that_of_the_run(policy):
    plan = mmcache.Plan(policy)
    pipe = prompted()
    with mmcache.accelerate(pipe, plan) as session:
        pipe("a cat", num_inference_steps=STEPS)
        ran = [step.branch for step in session.report().denoisers[0].steps]
    assert [one.branch for one in planned(plan, STEPS)] == ran


def test_an_adaptive_plan_has_no_strip_before_a_run():
    with pytest.raises(ValueError, match="decides during the run"):
        planned(mmcache.Plan(mmcache.Adaptive(0.1)), STEPS)


# ---------------------------------------------------------------- links


def defaults():
    return {tab.task.name: tab.settings(MINIATURE) for tab in DRAWING_TABS}


@pytest.mark.parametrize("tab", [tab.task.name for tab in DRAWING_TABS])
def test_a_link_brings_everything_back(tab):
    usual = defaults()[tab]
    plan = PlanChoice(OWN, "adaptive", threshold=0.25, forecast="hold", branch=2)
    settings = replace(
        usual, prompt="<b>ä & ?</b>", seed=2**63, sampler="euler", width=96, plan=plan, previews=True
    )
    query = query_of(tab, settings, usual)
    assert read_query(dict(parse_qsl(query)), defaults(), LIMITS) == (tab, settings)
    assert "guidance" not in query, "what is as usual is not in the link"


def test_an_address_without_settings_asks_for_nothing():
    assert read_query({"__theme": "dark"}, defaults(), LIMITS) is None


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ("unknown tab 'inpant'. Did you mean 'inpaint'", {"tab": "inpant"}),
        ("unknown setting 'step'. Did you mean 'steps'", {"step": "3"}),
        ("steps: 5000 asked for", {"steps": "5000"}),
        ("wanted a number", {"steps": "many"}),
    ],
)
def test_a_link_that_asks_for_what_cannot_be_is_refused(words, query):
    with pytest.raises(ValueError, match=words):
        read_query(query, defaults(), LIMITS)


# ---------------------------------------------------------------- runs


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
    last = [one for one in news if isinstance(one, Progress)][-1]
    assert (last.side, last.total) == ("cached", STEPS)
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


ORDER = Order("a cat", 3.0, mmcache.Plan(mmcache.Uniform(3)), STEPS, 0, "own", {})


def ran(pipe, order=ORDER, stop=None, tell=lambda news: None):
    found = run_both(pipe, order, None, stop or threading.Event(), tell)
    return found.full.images, found.cached.images


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
    visit = service.visit(visitor())
    visit.asks_for(TAB.task.name)
    visit.stop(TAB.task.name)
    with pytest.raises(Stopped):
        news_of(service, asked())
    assert sides(news_of(service, asked())) == {"full", "cached"}


def test_a_stop_of_a_run_that_never_began_is_forgotten(service):
    visit = service.visit(visitor())
    visit.asks_for(TAB.task.name)  # and the queue was full
    visit.stop(TAB.task.name)
    visit.asks_for(TAB.task.name)
    assert sides(news_of(service, asked())) == {"full", "cached"}


def test_stopping_without_a_run_does_nothing(service):
    service.visit(visitor()).stop(TAB.task.name)
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


# ---------------------------------------------------------------- visitors


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
        visit.remember(Past(f"number {number}", "", files))
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
    figures = figures_of(found, full_was_kept=False)
    assert {figure.meaning for figure in figures} == set(MEANINGS) - {"VMAF"}


def test_progress_shows_a_side_as_done_once_the_other_runs():
    seen = Seen()
    seen.hears(Progress("full", [None] * 7, 10))
    seen.hears(Progress("cached", [None, 0], 10))
    assert 'aria-valuenow="10"' in seen.markup()
    assert "step 2 of 10" in seen.markup()


# ---------------------------------------------------------------- uploads


def bomb(side):
    """A small PNG that says it is large."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    ("words", "name", "content"),
    [
        ("is not an image", "text.png", b"I am not a picture"),
        ("is not an image", "drawing.svg", SVG),
        ("is not an image", "drawing.png", SVG),
        ("is not an image", "printed.png", EPS),
        ("is not an image", "clip.mp4", b"\x00\x00\x00\x18ftypmp42" + bytes(2000)),
        ("is not an image", "empty.png", b""),
        ("is 5000x5000, at most 16 million pixels", "large.png", bomb(5000)),
        ("damaged, cut off or too large", "bomb.png", bomb(60000)),
        ("damaged, cut off or too large", "cut.png", bomb(64)),
        ("upload bytes", "heavy.png", bytes(LIMITS.upload_bytes + 1)),
    ],
)
def test_uploads_that_are_not_what_they_claim(words, name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageFileError, match=words) as refused:
        read_upload(tmp_path / name, LIMITS)
    assert str(tmp_path) not in str(refused.value), "where the server keeps files is nobody's business"


def test_a_picture_20000_pixels_wide(tmp_path):
    Image.new("RGB", (20_000, 40)).save(tmp_path / "wide.png")
    with pytest.raises(ImageFileError, match="is 20000x40; at most 4 times as long as narrow"):
        read_upload(tmp_path / "wide.png", LIMITS)


@pytest.mark.parametrize("name", ["photo.png", "photo.jpg", "photo.webp", "photo.bmp", "photo.gif"])
def test_pictures_are_taken(name, tmp_path):
    Image.new("RGB", (40, 30), "red").save(tmp_path / name)
    assert read_upload(tmp_path / name, LIMITS).size == (40, 30)


def test_masks_and_lines_come_from_what_was_painted():
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (10, 10, 30, 20))
    painted = painting.on_canvas(Image.new("RGB", (64, 64), "gray"), painting.layer_of(mask, (1, 2, 3), 170))
    assert painted["layers"][0].size == (320, 320)
    assert np.array_equal(painting.mask_from(painted, (64, 64)), mask)
    assert np.array_equal(np.asarray(painting.lines_from(painted, (64, 64)))[..., 0], mask)
    nothing = painting.on_canvas(Image.new("RGB", (64, 64)), None)
    with pytest.raises(painting.PaintingError, match="Nothing is painted"):
        painting.mask_from(nothing, (64, 64))
    with pytest.raises(painting.PaintingError, match="There are no lines"):
        painting.lines_from(None, (64, 64))


# ---------------------------------------------------------------- models


def test_a_visitor_chooses_among_what_is_offered_and_never_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    closed, typed = Offer(models=("some/model",)), Offer(models=("some/model",), typed=True)
    for offer in (closed, typed):
        offer.check("some/model", TAB.task)
        offer.check(MINIATURE, TAB.task)
        offer.check(SHIPPED_AS + "transformer", TAB.task)
        for name in (str(tmp_path), "owner/name", "../name", "~/name", "a/b/c", "name", ""):
            with pytest.raises(ModelRefusedError):
                offer.check(name, TAB.task)
    with pytest.raises(ModelRefusedError):  # it fills no masks
        closed.check(SHIPPED_AS + "transformer", find_task("inpaint"))
    typed.check("stable-diffusion-v1-5/stable-diffusion-v1-5", TAB.task)
    with pytest.raises(ModelRefusedError, match="is not offered here; choose one of some/model, miniature"):
        closed.check("stable-diffusion-v1-5/stable-diffusion-v1-5", TAB.task)


def test_a_refused_model_is_not_loaded(service, monkeypatch):
    monkeypatch.setattr("mmcache_demos.app.models.load_for", lambda *_: pytest.fail("was loaded"))
    with pytest.raises(ModelRefusedError):
        news_of(service, asked(model="/etc"))


def test_a_tab_offers_all_miniatures_that_do_its_task(service):
    *_, past = news_of(service, asked(model=SHIPPED_AS + "transformer"))
    report = json.loads(past.files["report.json"].read_text())
    assert report["pipeline"] == "PixArtAlphaPipeline"


def test_the_pipeline_that_was_not_used_for_longest_makes_room(monkeypatch):
    loaded = []

    def load(name, **options):
        loaded.append(name)
        return PIPES[name]()

    monkeypatch.setattr("mmcache_demos.app.models.load_miniature", load)
    models = Models(Offer(), most=2)
    first, second, third, _ = (tab.task for tab in DRAWING_TABS)
    for task in (first, second, first, third, first, second):
        models.pipe_for(task, MINIATURE)
    assert loaded == ["text-to-image", "inpainting", "controlnet", "inpainting"]


# ---------------------------------------------------------------- the command


def run(*arguments):
    return CliRunner().invoke(app, ["demo", *arguments])


def test_the_map_of_similar_features_is_measured_once_and_without_a_picture(service, monkeypatch):
    monkeypatch.setattr("mmcache_demos.app.similarity.STEPS", 4)
    maps, name = SimilarityMaps(service.models), "miniature: text-to-image"
    assert "has not been measured" in maps.known(name)
    measured = maps.measured(name)
    assert "data:image/png" in measured
    assert "to the next step" in measured
    monkeypatch.setattr(
        "mmcache_demos.app.similarity.feature_similarity", lambda *_, **__: pytest.fail("again")
    )
    assert maps.measured(name) == maps.known(name) == measured
    with pytest.raises(ModelRefusedError, match="mmcache inspect inpainting --similarity"):
        maps.measured("miniature: inpainting")
    with pytest.raises(ModelRefusedError, match="is not offered"):
        maps.measured("somebody/model")


@pytest.fixture
def launched(monkeypatch):
    """What would be served."""
    found = []
    monkeypatch.setattr("mmcache_demos.app.server.launch", found.append)
    return found


def test_by_default_it_serves_this_machine_alone(launched):
    assert run().exit_code == 0
    (server,) = launched
    assert (server.host, server.share, server.auth, server.limits) == ("127.0.0.1", False, None, Limits())
    assert not server.offer.typed


def test_every_option_arrives(launched):
    given = ["--model", "a/b", "--model", "c/d", "--allow-model-choice", "--controlnet", "e/f"]
    given += ["--host", "0.0.0.0", "--port", "8000", "--share", "--auth", "me:it:is"]
    given += ["--max-steps", "9", "--max-upload", "0.5", "--threads", "1", "--plan", "mine.yaml"]
    assert run(*given).exit_code == 0
    (server,) = launched
    assert server.offer == Offer(("a/b", "c/d"), True, {"controlnet": "e/f"})
    assert (server.host, server.port, server.share, server.auth) == ("0.0.0.0", 8000, True, ("me", "it:is"))
    assert (server.limits.steps, server.limits.upload_bytes, server.threads) == (9, 2**19, 1)
    assert list(server.plans) == ["mine"]


@pytest.mark.parametrize(
    ("words", "given"),
    [("wanted USER:PASSWORD", ["--auth", "me"]), ("Limits(steps=0)", ["--max-steps", "0"])],
)
def test_bad_options_are_one_line(words, given, launched):
    done = run(*given)
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not launched


def test_without_gradio_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    done = run()
    assert done.exit_code == 2
    assert 'pip install "mmcache-demos[app]"' in done.stderr
