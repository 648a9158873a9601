"""Every pipeline class that samples with a transformer keeps the laws, or is refused with a reason.

By default the first case of every family is run, under the laws that catch most. All cases and all laws make
the table in docs/transformers.md:

    pytest tests/test_transformer_pipelines.py -n auto -m "slow or not slow" \\
        --pipelines-table docs/transformers.md

Laws of a plan are then run at intervals 1, 2 and 3 for the first case of every family, at 2 for others.
"""

import pytest

from tests.test_pipelines import (
    COUNTING,
    OF_A_PLAN,
    OF_ANY_CALL,
    SETTINGS,
    keep_quick_laws,
    parameters,
    plan_of,
    refused_untouched,
    sampler,
)
from tests.zoo import TRANSFORMERS

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little", "ignore:every step is full")

OTHERS = ("interval 1", "cheaper", "restore", "fresh", "independent")


ACCELERATED = [case for case in TRANSFORMERS if case.refused is None]
REFUSED = [case for case in TRANSFORMERS if case.refused is not None]


@pytest.mark.parametrize("case", parameters(ACCELERATED))
def test_a_pipeline_keeps_the_laws_at_interval_2(case, record_property):
    keep_quick_laws(case, record_property)


@pytest.mark.parametrize("case", parameters(REFUSED))
def test_what_cannot_gain_is_refused_with_a_reason(case, record_property):
    refused_untouched(case, record_property)


@pytest.mark.slow
@pytest.mark.parametrize("law", OTHERS)
@pytest.mark.parametrize("case", ACCELERATED, ids=lambda case: case.name)
def test_a_pipeline_keeps_a_law(case, law, record_property):
    if law in COUNTING and not case.counted:
        pytest.skip("multiply-adds cannot be counted")
    record_property("law", (case.family, case.pipeline, law))
    if law in OF_ANY_CALL:
        OF_ANY_CALL[law](case, sampler(case, True))
        return
    for interval, guided in SETTINGS if case.first else [(2, True)]:
        OF_A_PLAN[law](case, sampler(case, guided | (not case.guidance)), plan_of(interval, case.make()))
