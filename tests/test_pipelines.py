"""Every pipeline class that samples with a U-Net keeps every law, or is refused with a reason.

By default the first of each kind is run at interval 2 under the laws that catch most. The other classes are
slow, and so are all laws at intervals 1, 2 and 3, with and without guidance. All together make the table in
docs/pipelines.md:

    pytest tests/test_pipelines.py -m "slow or not slow" -n auto --pipelines-table docs/pipelines.md

Without `-m` the table has what runs by default.
"""

from dataclasses import replace

import pytest

from mmcache import Plan, Taylor, Uniform, UnsupportedPipelineError, accelerate
from mmcache.api.resolved_pipeline import find_denoisers, find_side_networks
from mmcache.testing import (
    check_cheaper,
    check_fresh,
    check_independent,
    check_interval_one,
    check_one_feature,
    check_refuse,
    check_restore,
    check_same_input,
    check_side_networks,
)
from mmcache.testing.probes import anatomy
from tests.zoo import U_NETS

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little")

ACCELERATED = [case for case in U_NETS if case.refused is None]
REFUSED = [case for case in U_NETS if case.refused is not None]

# Under which name a law stands in the table, and whether it is stated of a plan.
OF_ANY_CALL = {
    "same input": lambda case, sample: check_same_input(case.make(), sample),
    "interval 1": lambda case, sample: check_interval_one(case.make, sample),
    "cheaper": lambda case, sample: check_cheaper(case.make(), sample),
}
OF_A_PLAN = {
    "restore": lambda case, sample, plan: check_restore(case.make, sample, plan),
    "fresh": lambda case, sample, plan: check_fresh(case.make, sample, plan),
    "independent": lambda case, sample, plan: check_independent(case.make, sample, plan),
    "one feature": lambda case, sample, plan: check_one_feature(case.make(), sample, plan),
    "saves": lambda case, sample, plan: check_saves(case.make(), sample, plan),
    "side networks": lambda case, sample, plan: check_side_networks(case.make, sample, plan),
}
SETTINGS = ((1, True), (2, True), (3, False))  # interval, guided
COUNTING = ("cheaper", "saves")
SIDE = ("side networks",)
QUICK = ("same input", "interval 1", "fresh", "one feature", "saves", "side networks")
ON_ONE_PIPE = ("same input", "cheaper", "one feature", "saves")  # they leave it as it was


def sampler(case, guided):
    return lambda pipe: case.sample(pipe, guided)


def plan_of(interval, pipe):
    """Interval 3 at the deepest branch that all denoisers have, the others at the shallowest."""
    models = find_denoisers(pipe).values()
    deepest = min(part.branches for part in models) - 1
    return Plan(Uniform(interval), Taylor(1), branch=deepest if interval == 3 else 0)


def check_saves(pipe, sample, plan):
    """A run takes the MACs of its full and its cached calls, and fewer than without caching."""
    with accelerate(pipe, plan) as session:
        sample(pipe)
        report = session.report()
    read = any("may be read" in note for note in report.notes)  # the attention maps: every step is full
    whole = {note.partition(":")[0] for note in report.notes if "ran whole at every step" in note}
    for part in report.parts:
        at = {(step.branch, step.full_macs): step.macs for step in part.steps}
        assert part.macs == sum(at[step.branch, step.full_macs] for step in part.steps)
        if plan.policy.interval > 1 and len({step.step for step in part.steps}) > 1 and not read:
            if part.name in whole:  # a side network whose last residual is read at every step
                assert part.macs == part.full_macs
                continue
            assert part.cached_steps, f"{part.name}: no call was cached"
            assert part.macs < part.full_macs
    return report


def keep_laws(case, laws, record_property, pipe):
    """At interval 2, guided; a law is recorded when its check begins.

    Laws that need one pipeline only share `pipe`: to build one takes as long as to run it.
    """
    sample, plan = sampler(case, True), plan_of(2, pipe)
    for law in laws:
        record_property("law", (case.family, case.pipeline, law))
        built = replace(case, make=lambda: pipe) if law in ON_ONE_PIPE else case
        if law in OF_ANY_CALL:
            OF_ANY_CALL[law](built, sample)
        elif report := OF_A_PLAN[law](built, sample, plan):
            record_saved(case, report, record_property)


def parameters(cases):
    """The first case of each file by default, the others with `-m slow`."""
    return [pytest.param(case, id=case.name, marks=[] if case.first else pytest.mark.slow) for case in cases]


def keep_quick_laws(case, record_property):
    """The laws that catch most, of a pipeline whose denoiser may lack what one of them is about."""
    left_out = {*(() if case.counted else COUNTING), *(() if case.ends else ("one feature",))}
    laws = [law for law in ("same input", "one feature", "saves") if law not in left_out]
    keep_laws(case, laws, record_property, case.make())


@pytest.mark.parametrize("case", [case for case in ACCELERATED if case.first], ids=lambda case: case.name)
def test_a_pipeline_keeps_the_laws_at_interval_2(case, record_property):
    pipe = case.make()
    left_out = {*(() if case.counted else COUNTING), *(() if find_side_networks(pipe) else SIDE)}
    keep_laws(case, [law for law in QUICK if law not in left_out], record_property, pipe)


def record_saved(case, report, record_property):
    parts = ", ".join(f"{part.name}: {part.adapter}" for part in report.parts)
    record_property("saved", (case.pipeline, parts, report.full_macs / report.macs))


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_cannot_gain_is_refused_with_a_reason(case, record_property):
    refused_untouched(case, record_property)


def refused_untouched(case, record_property):
    pipe = case.make()
    before = anatomy(pipe)
    with pytest.raises(UnsupportedPipelineError, match=case.refused) as refused:
        accelerate(pipe)
    assert anatomy(pipe) == before
    record_property("refused", (case.family, case.pipeline, str(refused.value)))


@pytest.mark.slow
@pytest.mark.parametrize("law", [*OF_ANY_CALL, *OF_A_PLAN, "refuse"])
@pytest.mark.parametrize("case", ACCELERATED, ids=lambda case: case.name)
def test_a_pipeline_keeps_a_law(case, law, record_property):
    pipe = case.make()
    record_property("law", (case.family, case.pipeline, law))
    if law == "refuse":
        check_refuse(pipe)
        return
    if law == "side networks" and not find_side_networks(pipe):
        pytest.skip("no side network")
    if law in COUNTING and not case.counted:
        pytest.skip("multiply-adds cannot be counted")
    if law in OF_ANY_CALL:
        for guided in (True, False) if case.guidance else (True,):
            OF_ANY_CALL[law](case, sampler(case, guided))
        return
    for interval, guided in SETTINGS:
        if interval > 1 or law not in ("saves", "side networks"):  # at interval 1 there is nothing to save
            guided |= not case.guidance
            OF_A_PLAN[law](case, sampler(case, guided), plan_of(interval, pipe))
    if law == "saves":
        report = check_saves(case.make(), sampler(case, True), plan_of(2, pipe))
        record_saved(case, report, record_property)
