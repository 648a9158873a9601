"""Plans as files: saved, loaded, and refused with the reason."""

import pytest

from mmcache import (
    Adaptive,
    Hold,
    NonUniform,
    Plan,
    PlanFileError,
    StepMask,
    Taylor,
    Uniform,
    load_plan,
    presets,
    save_plan,
)
from mmcache.plans.plan_file import find_plan

PLANS = [
    Plan(Uniform(3)),
    Plan(Uniform(3, warmup=2, cooldown=1), Taylor(2), branch=4, evidence="measured"),
    Plan(NonUniform(5, center=15, power=1.4), Hold(), branch=(0, 0, 2, 1)),
    Plan(StepMask([0, 4, 9]), Taylor(1)),
    Plan(Adaptive(0.2, longest=4)),
]


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_saved_and_loaded_is_the_same(plan, tmp_path):
    save_plan(plan, tmp_path / "plan.yaml")
    assert load_plan(tmp_path / "plan.yaml") == plan
    assert [path.name for path in tmp_path.iterdir()] == ["plan.yaml"]


@pytest.mark.parametrize("name", presets())
def test_presets_load_and_name_their_evidence(name):
    assert find_plan(name).evidence


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("policy: [", "not YAML"),
        ("just words", "keys and values"),
        ("branch: 0", "needs a policy"),
        ("polcy: {name: Uniform, interval: 3}", "Did you mean 'policy'"),
        ("policy: {name: Uniform, intervall: 3}", "Did you mean 'interval'"),
        ("policy: {name: Unifrom, interval: 3}", "Did you mean 'Uniform'"),
        ("policy: {name: Uniform, interval: 0}", "at least 1"),
        ("policy: {name: Uniform}", "interval"),
        ("policy: Uniform", "wanted {name"),
        ("policy: {name: Uniform, interval: 3}\nforecast: {name: Taylor, order: 0}", "order"),
        ("policy: {name: Uniform, interval: 3}\nbranch: first", "branch"),
        ("policy: {name: StepMask, full: 3}", "full"),
    ],
)
def test_wrong_files(text, message, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(PlanFileError, match=message) as raised:
        load_plan(path)
    assert str(path) in str(raised.value)


def test_missing_files_and_unknown_presets(tmp_path):
    with pytest.raises(PlanFileError, match="no such plan file"):
        find_plan(tmp_path / "nowhere.yaml")
    with pytest.raises(PlanFileError, match="Did you mean 'balanced'"):
        find_plan("balancd")
    with pytest.raises(PlanFileError, match="cannot be read"):
        load_plan(tmp_path)
