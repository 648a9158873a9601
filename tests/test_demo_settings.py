"""The demo's settings: what a visitor may ask for, in controls and in links."""

import json
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

import mmcache
from mmcache_demos.app.demo_tabs import DRAWING_TABS
from mmcache_demos.app.limits import LimitError, Limits
from mmcache_demos.app.link import query_of, read_query
from mmcache_demos.app.memory import Memory, read_memory
from mmcache_demos.app.plan_choice import FORECASTS, OWN, POLICIES, PlanChoice, named_plans
from mmcache_demos.app.plan_preview import planned
from mmcache_demos.app.settings import EMPTY_PROMPT, read_settings
from tests.demo_orders import LIMITS, STEPS, defaults
from tests.tiny_prompted import prompted

pytest.importorskip("gradio")


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("steps: 101 asked for", {"steps": 101}),
        ("width: 2000 asked for", {"width": 2000}),
        ("height: 2000 asked for", {"height": 2000}),
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
        (EMPTY_PROMPT, {"prompt": "  "}),
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
    with pytest.raises(ValueError, match=words) as refused:
        read_settings({"prompt": "a cat"} | values, LIMITS)
    (name,) = values
    assert getattr(refused.value, "field", name) == name, "the page shows it beside this control"


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


@pytest.mark.parametrize("tab", [tab.task.name for tab in DRAWING_TABS])
def test_a_link_brings_everything_back(tab):
    usual = defaults()[tab]
    plan = PlanChoice(OWN, policy="adaptive", threshold=0.25, forecast="hold", branch=2)
    settings = replace(
        usual, prompt="<b>ä & ?</b>", seed=2**63, sampler="euler", width=96, plan=plan, previews=False
    )
    query = query_of(tab, settings, usual)
    assert read_query(dict(parse_qsl(query)), defaults(), LIMITS)[:2] == (tab, settings)
    assert "guidance" not in query, "what is as usual is not in the link"


def test_an_address_without_settings_asks_for_nothing():
    assert read_query({"__theme": "dark"}, defaults(), LIMITS) is None


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ("unknown tab 'inpant'. Did you mean 'inpaint'", {"tab": "inpant"}),
        ("steps: 5000 asked for", {"steps": "5000"}),
        ("wanted a number", {"steps": "many"}),
        ("cost: 'quick': wanted one such as 2.5x", {"cost": "quick"}),
        ("unknown plan 'fats'", {"plan": "fats"}),
        ("is not offered here", {"model": "/etc"}),
    ],
)
def test_a_bad_value_of_a_link_is_said_and_the_rest_is_kept(words, query):
    found = read_query(query | {"seed": "7", "prompt": "a dog"}, defaults(), LIMITS)
    (complaint,) = found.complaints
    assert words in complaint
    assert (found.settings.seed, found.settings.prompt) == (7, "a dog")
    assert found.settings.steps == 50


def test_parameters_of_others_are_ignored():
    assert read_query({"utm_source": "a letter", "fbclid": "1"}, defaults(), LIMITS) is None
    found = read_query({"utm_source": "a letter", "seed": "3"}, defaults(), LIMITS)
    assert found.complaints == ()
    assert found.settings.seed == 3


def test_many_bad_values_are_said_in_few_words():
    bad = dict.fromkeys(("steps", "seed", "guidance", "width", "frames", "interval"), "many")
    complaints = read_query(bad, defaults(), LIMITS).complaints
    assert len(complaints) == 4
    assert "3 more" in complaints[-1]


MEMORIES = [
    "",
    "x",
    "[]",
    "{}",
    None,
    3,
    '{"visit": 1, "settings": [], "tab": {}}',
    '{"settings": {"a": 1}}',
    "[" * 9999,
]


@pytest.mark.parametrize("said", MEMORIES)
def test_what_a_page_has_kept_is_read_with_suspicion(said):
    assert read_memory(said) == Memory()


def test_what_a_page_has_kept_comes_back():
    said = json.dumps({"visit": "a" * 32, "tab": "inpaint", "settings": {"inpaint": {"seed": 7}}})
    assert read_memory(said) == Memory("a" * 32, "inpaint", {"inpaint": {"seed": 7}})
