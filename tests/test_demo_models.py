"""The demo's models: which of them a visitor may choose, what is in memory, and what the slider offers."""

import json
import threading
from dataclasses import replace

import pytest

import mmcache
from mmcache.plans.plan_set import load_plans
from mmcache.plans.presets import presets
from mmcache.tools.tasks.tasks import find_task
from mmcache_demos import SHIPPED
from mmcache_demos.app.costs import CALIBRATED, closeness, record_of, slider_for, stored
from mmcache_demos.app.demo_tabs import DRAWING_TABS
from mmcache_demos.app.explore import denoisers_of
from mmcache_demos.app.model_plans import deepest_branch, family_for
from mmcache_demos.app.models import LABELS, ModelRefusedError, Models, Offer, label
from mmcache_demos.app.settings import MINIATURE, SHIPPED_AS
from mmcache_demos.app.similarity import SimilarityMaps
from mmcache_demos.app.stops import Stops, stops
from tests.demo_orders import PIPES, TAB, asked, news_of, tiny_service

pytest.importorskip("gradio")


@pytest.fixture
def service(tmp_path, monkeypatch):
    return tiny_service(tmp_path, monkeypatch)


def subjects():
    for tab in DRAWING_TABS:
        for name in (MINIATURE, *(SHIPPED_AS + other for other in tab.task.others)):
            yield pytest.param(tab, name, id=f"{tab.task.name}-{name.removeprefix(SHIPPED_AS)}")


@pytest.mark.parametrize(("tab", "model"), subjects())
def test_the_slider_goes_from_the_closest_to_the_fastest(tab, model):
    family = family_for(Models(Offer(), 1), tab.task, model)
    settings = tab.settings(model)
    slider = slider_for(settings, tab.task.name, family)
    assert record_of(tab.task.name, model, family)[1], "it was measured on this very model"
    assert len(slider.costs) >= 3
    assert [cost.recommended for cost in slider.costs].count(True) == 1
    for before, after in zip(slider.costs, slider.costs[1:], strict=False):
        assert before.less_work < after.less_work
        assert before.psnr > after.psnr
    for cost in slider.costs:
        cost.make(family).check_total(settings.steps)
    assert slider.nearest("") is slider.recommended
    assert slider.nearest("99x") is slider.costs[-1]


def test_calibrated_costs_are_offered_where_they_were_calibrated():
    at_home = slider_for(TAB.settings(MINIATURE), TAB.task.name, "image")
    assert {cost.plan for cost in at_home.costs} == {
        f"portraits#{name}" for name in load_plans(CALIBRATED[TAB.task.name, MINIATURE])
    }
    assert "5x" in [cost.name for cost in at_home.costs]
    for change in ({"steps": 20}, {"guidance": 7.0}, {"sampler": "euler"}):
        elsewhere = slider_for(replace(TAB.settings(MINIATURE), **change), TAB.task.name, "image")
        assert {cost.plan for cost in elsewhere.costs} <= set(presets())
        assert not elsewhere.holds
        assert all(" dB" not in label for label, _ in stops(elsewhere))


def test_at_other_steps_a_stop_promises_the_work_of_a_run(tmp_path):
    """Fewer steps leave less to save: 2.4x at 50 steps is no 2.4x at 10."""
    models = Models(Offer(), 1)
    pipe = models.pipe_for(TAB.task, MINIATURE)
    slider = slider_for(replace(TAB.settings(MINIATURE), steps=10), TAB.task.name, "image")
    assert len({cost.name for cost in slider.costs}) == len(slider.costs)
    for cost in slider.costs[-2:]:
        with mmcache.accelerate(pipe, cost.make("image")) as session:
            pipe("a person", num_inference_steps=10, guidance_scale=3.0, output_type="latent")
            assert cost.less_work == pytest.approx(session.report().speedup, rel=0.02)


def test_what_was_recommended_stays_so_where_its_stop_has_gone():
    usual = TAB.settings(MINIATURE)
    begun = slider_for(usual, TAB.task.name, "image").recommended.name
    slider = slider_for(replace(usual, steps=10), TAB.task.name, "image")
    assert begun not in [cost.name for cost in slider.costs]
    assert slider.nearest(begun) is slider.recommended
    assert slider.nearest("9x") is slider.costs[-1]


def test_a_visitor_may_be_a_click_ahead_of_the_stops():
    assert Stops(["1.8x"], value="1.8x").preprocess("2.5x") == "2.5x"


def test_a_model_that_was_not_measured_borrows_and_says_so():
    slider = slider_for(replace(TAB.settings(MINIATURE), model="some/model"), TAB.task.name, "image")
    assert not slider.holds
    assert "miniature" in slider.measured
    assert {cost.plan for cost in slider.costs} <= set(presets())


def test_every_stored_plan_is_there():
    for one in stored():
        known = {*presets(one["family"])}
        for file in CALIBRATED.values():
            known |= {f"{file.stem}#{name}" for name in load_plans(file)}
        assert {plan["plan"] for plan in one["plans"]} <= known


def test_closeness_is_said_in_words():
    assert [closeness(psnr) for psnr in (63, 40, 30, 10)] == [
        "You will not see a difference",
        "Look closely to see a difference",
        "You will see a difference",
        "It is another image",
    ]


@pytest.mark.parametrize("tab", DRAWING_TABS, ids=lambda tab: tab.task.name)
def test_branches_are_bounded_by_the_model(tab):
    models = Models(Offer(), 1)
    assert deepest_branch(models, tab.task, MINIATURE) == 8
    for other in tab.task.others:
        assert deepest_branch(models, tab.task, SHIPPED_AS + other) == 3
    assert deepest_branch(models, tab.task, "some/model") == 11


def test_every_model_has_one_name():
    assert set(LABELS) == set(SHIPPED)
    for tab in DRAWING_TABS:
        assert label(MINIATURE, tab.task) == label(SHIPPED_AS + tab.task.miniature)
    assert label("some/model") == "some/model"


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


def test_the_map_of_similar_features_is_measured_once_and_without_a_picture(service, monkeypatch):
    monkeypatch.setattr("mmcache_demos.app.similarity.STEPS", 4)
    maps, name = SimilarityMaps(service.models), "miniature: text-to-image"
    assert "Not measured" in maps.known(name)
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


def test_a_model_is_looked_at_only_while_none_is_loaded(tmp_path, monkeypatch):
    """diffusers changes torch's classes while it loads: a model that is built meanwhile has no values."""
    service = tiny_service(tmp_path, monkeypatch)
    looked = []

    def denoisers_of(name):
        looked.append(service.models.loading.locked())
        return {}

    monkeypatch.setattr("mmcache_demos.app.explore.denoisers_of", denoisers_of)
    assert service.explorer.page(service.explorer.names[0], 0) == ""
    assert looked == [True]
    assert not service.models.loading.locked()


def test_every_model_is_drawn_before_it_is_chosen_and_never_beside_a_run(service, monkeypatch):
    monkeypatch.setattr("mmcache_demos.app.service.QUIET", 0.01)
    read = []

    def noted(name):
        assert not service.models.running.locked()
        read.append(name)
        return denoisers_of(name)

    monkeypatch.setattr("mmcache_demos.app.explore.denoisers_of", noted)
    with service.models.running:
        preparing = threading.Thread(target=service.prepare, args=(True,), daemon=True)
        preparing.start()
        preparing.join(timeout=3)
        assert preparing.is_alive()
    preparing.join(timeout=60)
    assert read == service.explorer.names
    for name in service.explorer.names:
        assert service.explorer.branches(name) >= 1
        assert "<img" in service.explorer.page(name, 0)
    assert read == service.explorer.names, "none is read again"
