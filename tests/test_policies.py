"""When: which steps each policy makes full."""

import itertools

import pytest

from mmcache import Adaptive, NonUniform, StepMask, Uniform
from mmcache.clocks.clock import StepClock
from mmcache.plans.policy import nonuniform_steps


class Unchanging:
    """A denoiser that changes by the same amount at every step."""

    def __init__(self, by):
        self.by, self.steps = by, 0

    def change(self):
        return self.by


def full_steps(policy, total, change=0.0):
    since, full = Unchanging(change), []
    for step in range(total):
        since.steps = step - full[-1] if full else 0
        if policy.is_full(StepClock(run=1, step=step, total=total, time=1000.0 - step), since):
            full.append(step)
    return full


def test_uniform():
    assert full_steps(Uniform(3), 10) == [0, 3, 6, 9]
    assert full_steps(Uniform(1), 4) == [0, 1, 2, 3]
    assert full_steps(Uniform(100), 4) == [0]


def test_uniform_counts_from_the_last_warm_up_step():
    assert full_steps(Uniform(3, warmup=3), 12) == [0, 1, 2, 5, 8, 11]


def test_cool_down():
    assert full_steps(Uniform(5, cooldown=2), 10) == [0, 5, 8, 9]


def published_steps(total, count, center, power):
    """The schedule as DeepCache's experiments compute it, written from its description.

    Every operation in Python's own complex numbers, one value at a time: an independent second way.
    """
    while power > 1:
        start, end = (-center + 0j) ** (1 / power), (total - center + 0j) ** (1 / power)
        values = {int(((start + (end - start) * i / count) ** power).real) for i in range(count + 1)}
        steps = [0] + [value + center for value in sorted(values)[1:-1]]
        if len(steps) == count:
            return steps
        power -= 0.02
    raise ValueError("no suitable power")


@pytest.mark.parametrize(
    ("total", "interval", "center", "power"),
    # The paper's settings: Stable Diffusion at 50 PLMS steps, LDM-4-G at 250 DDIM steps.
    [
        (50, 2, 15, 1.5),
        (50, 3, 15, 1.3),
        (50, 4, 15, 1.4),
        (50, 5, 10, 1.5),
        (50, 6, 15, 1.3),
        (50, 7, 15, 1.4),
        (50, 8, 10, 1.4),
        (250, 2, 120, 1.2),
        (250, 5, 110, 1.4),
        (250, 10, 110, 1.2),
        (250, 20, 120, 1.4),
    ],
)
def test_non_uniform_is_the_published_schedule(total, interval, center, power):
    count = -(-total // interval)
    assert sorted(nonuniform_steps(total, interval, center, power)) == published_steps(
        total, count, center, power
    )


def test_non_uniform_is_dense_around_the_center():
    steps = full_steps(NonUniform(5, center=15, power=1.5), 50)
    gaps = {later - step: step for step, later in itertools.pairwise(steps)}
    assert len(steps) == 10
    assert 10 <= gaps[min(gaps)] <= 20  # the shortest gap
    assert gaps[max(gaps)] > 25


@pytest.mark.parametrize("total", [1, 2, 5, 9, 30, 1000])
@pytest.mark.parametrize("interval", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("center", [0, 3, 15, 600])
def test_non_uniform_works_for_every_number_of_steps(total, interval, center):
    steps = full_steps(NonUniform(interval, center=center, power=1.4), total)
    assert steps[0] == 0
    assert len(steps) <= -(-total // interval)
    if interval == 1:
        assert steps == list(range(total))


def test_step_mask():
    assert full_steps(StepMask([7, 0, 2]), 10) == [0, 2, 7]
    assert full_steps(StepMask([0, 50]), 3) == [0]


def test_adaptive_asks_how_much_has_changed():
    assert full_steps(Adaptive(0.1), 4, change=0.05) == [0]
    assert full_steps(Adaptive(0.1), 4, change=0.2) == [0, 1, 2, 3]
    assert full_steps(Adaptive(0.1, longest=2), 8, change=0.05) == [0, 3, 6]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Uniform(0),
            r"Uniform\(interval=0\): interval must be .* at least 1 \(1 computes every step\)",
        ),
        (lambda: Uniform(2.5), r"Uniform\(interval=2.5\)"),
        (lambda: Uniform("3"), r"Uniform\(interval='3'\)"),
        (lambda: Uniform(True), r"Uniform\(interval=True\)"),
        (lambda: Uniform(3, warmup=0), "the first step has nothing to reuse"),
        (lambda: Uniform(3, cooldown=-1), "cooldown"),
        (lambda: NonUniform(3, power=0), "power must be a number above 0"),
        (lambda: NonUniform(3, center=-1), "center"),
        (lambda: StepMask([]), "names no full step"),
        (lambda: StepMask([1, 2]), "step 0 must be among"),
        (lambda: StepMask([0, 3, 3]), "names a step twice"),
        (lambda: StepMask([0, -3]), "at least 0"),
        (lambda: Adaptive(0), "threshold must be a number above 0"),
        (lambda: Adaptive(float("nan")), "threshold"),
        (lambda: Adaptive(0.1, longest=0), "longest"),
    ],
)
def test_wrong_settings_are_refused_when_they_are_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()
