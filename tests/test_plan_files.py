"""Plans as files: saved, loaded, and refused with the reason."""

import json
import re
from importlib.resources import files

import pytest

from mmcache import (
    Adaptive,
    Fitted,
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
from mmcache.architectures.registry import adapters
from mmcache.plans.calibrated_for import CalibratedFor
from mmcache.plans.plan_file import plan_as_dict
from mmcache.plans.plan_schema import plan_schema
from mmcache.plans.presets import USUAL, families, find_plan

PLANS = [
    Plan(Uniform(3)),
    Plan(Uniform(3, warmup=2, cooldown=1), Taylor(2), branch=4, evidence="measured"),
    Plan(NonUniform(5, center=15, power=1.4), Hold(), branch=(0, 0, 2, 1)),
    Plan(StepMask([0, 4, 9]), Taylor(1)),
    Plan(Adaptive(0.2, longest=4)),
    Plan(
        StepMask([0, 2]),
        Fitted([[], [1.0], [], [-0.9, 1.9]]),
        calibrated_for=CalibratedFor(
            "UNet2DConditionModel", "DDIMScheduler", 4, config="0a1b2c3d", made="2026-11-23"
        ),
    ),
]


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_saved_and_loaded_is_the_same(plan, tmp_path):
    save_plan(plan, tmp_path / "plan.yaml")
    assert load_plan(tmp_path / "plan.yaml") == plan
    assert [path.name for path in tmp_path.iterdir()] == ["plan.yaml"]


EVERY_PRESET = [(family, name) for family in families() for name in presets(family)]


@pytest.mark.parametrize(("family", "name"), EVERY_PRESET)
def test_presets_load_and_name_their_measurement(family, name):
    evidence = find_plan(name, family).evidence
    assert "fewer" in evidence
    assert "dB" in evidence
    assert re.search(r"\((python -m|mmcache) ", evidence), "no command that measures it"


def test_every_family_has_presets_of_the_same_names():
    assert {"image", "image-transformer", "inpainting", "video"} <= set(families())
    for family in families():
        assert set(presets(family)) == {"quality", USUAL, "fast", "turbo"}


def test_families_of_adapters_are_there():
    for adapter in adapters():
        named = {adapter.family, adapter.fallback_presets, *adapter.tasks.values()} - {""}
        assert named <= set(families()), adapter.name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("policy: [", "not YAML"),
        ("just words", "keys and values"),
        ("branch: 0", "needs a policy"),
        ("branch: 0\npolcy: {name: Uniform, interval: 3}", "line 2, in a plan: .*Did you mean 'policy'"),
        ("policy: {name: Uniform, intervall: 3}", "Did you mean 'interval'"),
        ("policy: {name: Unifrom, interval: 3}", "Did you mean 'Uniform'"),
        ("policy: {name: Uniform, interval: 0}", "at least 1"),
        ("policy: {name: Uniform}", "interval"),
        ("policy: Uniform", "wanted {name"),
        ("policy: {name: Uniform, interval: 3}\nforecast: {name: Taylor, order: 0}", "order"),
        ("policy: {name: Uniform, interval: 3}\nforecast: {name: Fitted, weights: [[], [x]]}", "weights"),
        ("policy: {name: Uniform, interval: 3}\nmade_for: {denoisr: UNet2DModel}", "line 2.*'denoiser'"),
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
    for blank in ("", " "):  # an empty path is the present folder
        with pytest.raises(PlanFileError, match="balanced"):
            find_plan(blank)
    with pytest.raises(PlanFileError, match="cannot be read"):
        load_plan(tmp_path)


def test_the_schema_for_editors_is_that_of_the_classes_and_fits_every_plan():
    jsonschema = pytest.importorskip("jsonschema")
    stored = json.loads(files("mmcache.configs").joinpath("plan.schema.json").read_text())
    assert stored == plan_schema()  # python -m mmcache.plans.plan_schema > configs/plan.schema.json
    for plan in [*PLANS, *(find_plan(name, family) for family, name in EVERY_PRESET)]:
        jsonschema.validate(json.loads(json.dumps(plan_as_dict(plan))), stored)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"policy": {"name": "Uniform", "intervall": 3}}, stored)


def test_a_plan_for_so_many_steps_is_stretched_only_when_asked():
    plan = PLANS[-1]
    with pytest.raises(ValueError, match=r"each of 4 steps, but this run has 8.*for_steps\(8\)"):
        plan.check_total(8)
    longer = plan.for_steps(8)
    assert longer.policy == StepMask([0, 4])
    assert longer.forecast == Taylor(1)
    assert "stretched from 4 to 8 steps" in longer.evidence
    longer.check_total(8)
    assert plan.for_steps(4) is plan
    assert Plan(NonUniform(3), branch=[0, 0, 1, 1]).for_steps(2).branch == (0, 1)


def test_the_earlier_name_of_a_key_is_still_read(tmp_path):
    made = "{denoiser: UNet2DConditionModel, scheduler: DDIMScheduler, steps: 4}"
    (tmp_path / "plan.yaml").write_text(f"policy: {{name: Uniform, interval: 3}}\nmade_for: {made}\n")
    assert load_plan(tmp_path / "plan.yaml").calibrated_for.steps == 4
    (tmp_path / "plan.yaml").write_text(
        f"policy: {{name: Uniform, interval: 3}}\nmade_for: {made}\ncalibrated_for: {made}\n"
    )
    with pytest.raises(PlanFileError):
        load_plan(tmp_path / "plan.yaml")
