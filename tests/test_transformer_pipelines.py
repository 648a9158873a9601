"""Every pipeline class that samples with a transformer keeps the laws, or is refused with a reason.

By default the first case of every family is run. All of them make the table in docs/transformers.md:

    pytest tests/test_transformer_pipelines.py -n auto -m "slow or not slow" -k "interval_2 or refused" \\
        --pipelines-table docs/transformers.md

The other laws, at intervals 1, 2 and 3, are run for the first of every family by `-m slow`.
"""

import pytest

from mmcache import UnsupportedPipelineError, accelerate
from mmcache.testing.probes import anatomy
from tests.test_pipelines import (
    COUNTING,
    OF_A_PLAN,
    OF_ANY_CALL,
    SETTINGS,
    plan_of,
    record_saved,
    sampler,
)
from tests.zoo import TRANSFORMERS

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little", "ignore:every step is full")

LAWS = ("same input", "one feature", "saves")
OTHERS = ("interval 1", "cheaper", "restore", "fresh", "independent")


def parameters(cases):
    """The first case of each file by default, the others with `-m slow`."""
    return [pytest.param(case, id=case.name, marks=[] if case.first else pytest.mark.slow) for case in cases]


ACCELERATED = [case for case in TRANSFORMERS if case.refused is None]
REFUSED = [case for case in TRANSFORMERS if case.refused is not None]


@pytest.mark.parametrize("case", parameters(ACCELERATED))
def test_a_pipeline_keeps_the_laws_at_interval_2(case, record_property):
    sample = sampler(case, True)
    plan = plan_of(2, case.make())
    for law in LAWS:
        if (law in COUNTING and not case.counted) or (law == "one feature" and not case.ends):
            continue
        record_property("law", (case.family, case.pipeline, law))
        if law in OF_ANY_CALL:
            OF_ANY_CALL[law](case, sample)
        elif report := OF_A_PLAN[law](case, sample, plan):
            record_saved(case, report, record_property)


@pytest.mark.parametrize("case", parameters(REFUSED))
def test_what_cannot_gain_is_refused_with_a_reason(case, record_property):
    pipe = case.make()
    before = anatomy(pipe)
    with pytest.raises(UnsupportedPipelineError, match=case.refused) as refused:
        accelerate(pipe)
    assert anatomy(pipe) == before
    record_property("refused", (case.family, case.pipeline, str(refused.value)))


@pytest.mark.slow
@pytest.mark.parametrize("law", OTHERS)
@pytest.mark.parametrize("case", [case for case in ACCELERATED if case.first], ids=lambda case: case.name)
def test_a_family_keeps_a_law(case, law):
    if law in COUNTING and not case.counted:
        pytest.skip("multiply-adds cannot be counted")
    if law in OF_ANY_CALL:
        OF_ANY_CALL[law](case, sampler(case, True))
        return
    for interval, guided in SETTINGS:
        OF_A_PLAN[law](case, sampler(case, guided | (not case.guidance)), plan_of(interval, case.make()))
