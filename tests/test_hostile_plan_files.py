"""Plan files of strangers: loader and JSON schema judge alike, every refusal is a short plan error."""

import json
import math
import os
import time
from importlib.resources import files

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmcache import Plan, PlanFileError, Taylor, Uniform, load_plan, save_plan
from mmcache.plans.calibrated_for import CalibratedFor
from mmcache.plans.forecast import MOST_ORDER, Fitted
from mmcache.plans.plan_file import MOST, plan_as_dict
from mmcache.plans.plan_yaml import MOST_BYTES
from mmcache.plans.policy import NonUniform, StepMask, nonuniform_steps
from mmcache.plans.presets import find_plan
from mmcache.plans.values import MOST_STEPS

jsonschema = pytest.importorskip("jsonschema")
SCHEMA = jsonschema.Draft202012Validator(
    json.loads(files("mmcache.configs").joinpath("plan.schema.json").read_text(encoding="utf-8"))
)
POLICY = "policy: {name: Uniform, interval: 3}\n"
SECONDS = 10.0  # of the processor: far above what the slowest takes, far below what an attack would want

ODD = st.sampled_from(
    [
        *(0, 1, 2, 3, 3.0, 2.5, -1, 10**6, 10**400, 1e300, True, False, None, "", "3", "Uniform", [], {}),
        *(math.nan, math.inf, -math.inf, -0.0, "ключ", "\x7f", [0], [0, 0], [0, 1.0, 1], [1], [[], [1.0]]),
        *([[]], [[1.0, math.nan]], {"name": "Uniform"}, [True], "x" * 500, MOST_STEPS, MOST_STEPS + 1),
    ]
)
POLICIES = {
    "Uniform": ["interval"],
    "NonUniform": ["interval", "center", "power"],
    "StepMask": ["full"],
    "Adaptive": ["threshold", "longest"],
}
FORECASTS = {"Hold": [], "Taylor": ["order"], "Fitted": ["weights"]}
RIGHT = (
    {"interval": 3, "center": 15, "power": 1.4, "full": [0, 2], "threshold": 0.1, "longest": 4}
    | {"order": 1, "weights": [[], [1.0]], "warmup": 1, "cooldown": 0, "denoiser": "UNet2DModel"}
    | {"scheduler": "DDIMScheduler", "steps": 4, "config": "0a", "made": "2026-11-23"}
)


def mostly(right):
    """A right value in most places, so that a good part of the files is accepted."""
    return st.one_of(*[right] * 9, ODD)


def options(names):
    """Options of a part, most of them right, some left out, sometimes one that there is not."""
    one = {name: mostly(st.just(RIGHT[name])) for name in names}
    strange = mostly(st.just({})).filter(lambda more: isinstance(more, dict))
    left_out = st.sets(st.sampled_from(sorted(names)), max_size=1) if names else st.just(set())
    return st.tuples(st.fixed_dictionaries(one), strange, mostly(st.just(set())) | left_out).map(
        lambda all_: {k: v for k, v in (all_[0] | all_[1]).items() if not all_[2] or k not in str(all_[2])}
    )


def part(known, more=()):
    """A policy or forecast."""
    right = (
        options([*own, *more]).map(lambda chosen, name=name: {"name": name} | chosen)
        for name, own in known.items()
    )
    return mostly(st.one_of(*right))


CIRCUMSTANCES = mostly(options(["denoiser", "scheduler", "steps", "config", "made"]))
CONTENTS = mostly(
    st.fixed_dictionaries(
        {"policy": part(POLICIES, ["warmup", "cooldown"])},
        optional={
            "forecast": part(FORECASTS),
            "branch": st.one_of(ODD, st.integers(0, 11), st.lists(st.integers(-1, 11))),
            "evidence": mostly(st.text(max_size=20)),
            "calibrated_for": CIRCUMSTANCES,
        },
    ).flatmap(lambda plan: st.sampled_from([plan, plan, plan, plan | {"polcy": 1}, with_earlier_key(plan)])),
)


def with_earlier_key(plan):
    """As files of version 0.1 have it."""
    return {("made_for" if key == "calibrated_for" else key): value for key, value in plan.items()}


def loaded(path):
    """The plan, or None with a refusal that is as it has to be."""
    try:
        return load_plan(path)
    except PlanFileError as error:
        refusal = str(error)
    assert len(refusal) <= MOST
    assert "\n" not in refusal
    return None


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=CONTENTS)
def test_the_loader_and_the_schema_judge_every_file_alike(contents, tmp_path):
    path = tmp_path / "plan.yaml"
    text = yaml.dump(contents, Dumper=Unaliased, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    plan = loaded(path)
    assert (plan is not None) == SCHEMA.is_valid(contents), text
    if plan is not None:
        save_plan(plan, path)
        assert load_plan(path) == plan
        assert SCHEMA.is_valid(plan_as_dict(plan))


class Unaliased(yaml.SafeDumper):
    """Writes a value again where it stands twice."""

    def ignore_aliases(self, data):
        return True


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=300), st.text(max_size=300).map(lambda t: t.encode("utf-8", "replace"))
    )
)
def test_no_bytes_are_anything_else_than_a_plan_or_a_short_plan_error(content, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_bytes(content)
    loaded(path)


def bomb(levels):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join([*lines, POLICY])


@pytest.mark.parametrize(
    "text",
    [
        bomb(9),
        "policy: &p {name: Uniform, interval: *p}",
        "[" * 50_000,
        "{a: " * 20_000,
        "- " * 20_000,
        f"evidence: {'x' * MOST_BYTES}\n{POLICY}",
        f"{'x' * 100_000}: 1\n{POLICY}",
        f"{POLICY}branch: {'9' * 5000}",
        f"{POLICY}branch: 0x{'f' * 50_000}",
        f"{POLICY}branch: !!int x",
        f"{POLICY}branch: !!float x",
        f"{POLICY}branch: !!bool x",
        f"{POLICY}branch: !!timestamp x",
        f"{POLICY}branch: !!python/object/apply:os.system [exit]",
        f"{POLICY}branch: !!set {{0, 1}}",
        f"{POLICY}? [1, 2]\n: 3",
        f"{POLICY}{POLICY}",
        "policy: {name: Uniform, interval: 3, interval: 4}",
        f'{POLICY}evidence: "\\ud800"',
        f"{POLICY}---\n{POLICY}",
        f"{POLICY}forecast: {{name: Taylor, order: 99}}",
        f"{POLICY}branch: [{', '.join(['x'] * 60_000)}]",
        f"policy: {{name: StepMask, full: [0, {', '.join(['1'] * 6_000)}]}}",
        f"policy: {{name: {'U' * 100_000}}}",
        f"{POLICY}branch: .nan",
        f"{POLICY}branch: true",
        "policy: {name: Adaptive, threshold: .inf}",
        f"{POLICY}calibrated_for: {{denoiser: D, scheduler: S, steps: {MOST_STEPS + 1}}}",
        f"{POLICY}forecast: null",
    ],
    ids=range(29),
)
def test_hostile_texts_are_refused_at_once(text, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    started = time.process_time()
    assert loaded(path) is None
    assert time.process_time() - started < SECONDS


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes that have names")
def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "link.yaml").symlink_to("/dev/zero")
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    large = tmp_path / "large.yaml"
    with large.open("wb") as opened:
        opened.truncate(10**11)  # claims 100 GB and takes nothing
    odd = ["pipe.yaml", "link.yaml", "loop.yaml", "large.yaml", "", "x" * 5000 + ".yaml", "null\0.yaml"]
    for name in odd:
        assert loaded(tmp_path / name) is None
    for name in ["x" * 5000, "null\0", "\ud800.yaml"]:
        with pytest.raises(PlanFileError) as raised:
            find_plan(name)
        assert len(str(raised.value)) <= MOST
    (tmp_path / "real.yaml").write_text(POLICY)
    (tmp_path / "there.yaml").symlink_to(tmp_path / "real.yaml")
    assert load_plan(tmp_path / "there.yaml") == Plan(Uniform(3))


def test_messages_name_the_line_and_the_value_in_the_words_of_python(tmp_path):
    path = tmp_path / "plan.yaml"
    for text, words in (
        ("policy: {name: Uniform, interval: 0}", "Uniform(interval=0): interval must be a whole number"),
        (POLICY + "branch: [0, -1]", "Plan(branch=-1)"),
        (POLICY + "forecast: {name: Taylor, order: 99}", f"order must be at most {MOST_ORDER}"),
        (POLICY + "forecast: {name: Fitted, weights: [[], [.nan]]}", "Fitted(weights=nan)"),
        (POLICY + POLICY, "line 2, the key 'policy' stands twice"),
        ("a: &a 1\nb: *a", "line 2, aliases"),
        (POLICY + "calibrated_for: {denoiser: 3, scheduler: S, steps: 4}", "CalibratedFor(denoiser=3)"),
    ):
        path.write_text(text)
        with pytest.raises(PlanFileError) as raised:
            load_plan(path)
        assert words in str(raised.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Taylor(MOST_ORDER + 1),
        lambda: Uniform(10**5000),
        lambda: StepMask([0, MOST_STEPS + 1]),
        lambda: StepMask([1] * 10**5),
        lambda: Fitted([[math.inf]]),
        lambda: Fitted([[1.0] * (MOST_ORDER + 2)]),
        lambda: NonUniform(3, power=1e-3),
        lambda: NonUniform(3, power=1e9),
        lambda: Plan(Uniform(3), evidence=3),
        lambda: Plan(Uniform(3), branch=[0, "x" * 10**5]),
        lambda: CalibratedFor("UNet2DModel", "DDIMScheduler", True),
    ],
)
def test_what_no_file_may_say_no_program_may_either(make):
    with pytest.raises(ValueError, match=r"\(") as raised:
        make()
    assert len(str(raised.value)) <= MOST


def test_the_extremes_of_a_policy_are_computed_at_once():
    started = time.process_time()
    for center in (0, MOST_STEPS):
        for power in (0.0501, 20.0):
            assert 0 in nonuniform_steps(100, 2, center, power)
    assert time.process_time() - started < SECONDS


def test_branches_for_another_number_of_steps_are_refused_before_the_run():
    made = CalibratedFor("UNet2DModel", "DDIMScheduler", 4)
    with pytest.raises(ValueError, match="each of 2 steps, but was calibrated for 4"):
        Plan(Uniform(2), branch=[0, 0], calibrated_for=made).check_total(4)


def test_a_plan_too_large_for_a_file_is_not_written(tmp_path):
    plan = Plan(StepMask(range(MOST_STEPS)))
    with pytest.raises(PlanFileError, match="at most"):
        save_plan(plan, tmp_path / "plan.yaml")
    assert list(tmp_path.iterdir()) == []
