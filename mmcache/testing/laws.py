"""The laws that every adapter obeys, each a function.

`make_pipe()` builds a small pipeline, the same each time (seed the weights); `sample(pipe)` runs it with a
fixed seed and returns its result as a tensor or array. They raise `LawBroken`, which says what was
compared. All comparisons are bit for bit.
"""

from collections.abc import Callable
from typing import Any

from mmcache.acceleration import accelerate, find_denoisers
from mmcache.cut import cached, tapped
from mmcache.macs import Shapes, count_macs
from mmcache.plan import Plan
from mmcache.policy import Uniform
from mmcache.testing.probes import (
    LawBroken,
    anatomy,
    bytes_held_at_calls,
    bytes_reachable,
    copied,
    dead_modules,
    denoiser_calls,
    failing_denoiser,
    first_tensor,
    macs_by_module,
    must_equal,
    require,
)

MakePipe = Callable[[], Any]
Sample = Callable[[Any], Any]


def check_adapter(make_pipe: MakePipe, sample: Sample, plan: Plan | None = None) -> None:
    """All laws that concern an adapter, at every branch of every denoiser of the pipeline.

    Args:
        make_pipe: builds the pipeline; each one has the same weights.
        sample: runs it with a fixed seed, for at least four steps; returns its result.
        plan: for the laws that need a run with cached steps; every third step full if not given.

    Raises:
        LawBroken: with the first law that does not hold.
    """
    plan = plan or Plan(Uniform(3))
    check_same_input(make_pipe(), sample)
    check_cheaper(make_pipe(), sample)
    check_interval_one(make_pipe, sample)
    check_restore(make_pipe, sample, plan)
    check_fresh(make_pipe, sample, plan)
    check_independent(make_pipe, sample, plan)
    check_one_feature(make_pipe(), sample, plan)


def check_same_input(pipe: Any, sample: Sample) -> None:
    """Law 1: a cached step right after a full step on the same input gives the same output."""
    for name, model, adapter, call in denoiser_calls(pipe, sample):
        keys = list(model.state_dict())
        plain = first_tensor(model(**copied(call)))
        for branch in range(adapter.branches(model)):
            cut = adapter.cut(model, branch)
            with tapped([cut]):
                full = first_tensor(model(**copied(call)))
            with cached(cut, cut.tap.take()):
                reused = first_tensor(model(**cut.arguments(copied(call))))
            must_equal(f"law 1: {name}, branch {branch}: full with and without tap", full, plain)
            must_equal(f"law 1: {name}, branch {branch}: cached and full", reused, full)
            same_keys = list(model.state_dict()) == keys
            require(same_keys, f"law 1: {name}, branch {branch}: state_dict keys changed")


def check_interval_one(make_pipe: MakePipe, sample: Sample) -> None:
    """Law 2: at interval 1 the pipeline gives what it gives without mmcache."""
    plain = sample(make_pipe())
    pipe = make_pipe()
    accelerate(pipe, interval=1)
    must_equal("law 2: interval 1 and the plain pipeline", sample(pipe), plain)


def check_restore(make_pipe: MakePipe, sample: Sample, plan: Plan) -> None:
    """Law 3: after restore nothing is left anywhere, and results are those of the plain pipeline."""
    plain = sample(make_pipe())
    pipe = make_pipe()
    sample(pipe)  # what a pipeline sets on itself when it is first called
    before = anatomy(pipe)
    keys = {name: list(model.state_dict()) for name, (model, _) in find_denoisers(pipe).items()}
    session = accelerate(pipe, plan)
    sample(pipe)
    for name, (model, _) in find_denoisers(pipe).items():
        same_keys = list(model.state_dict()) == keys[name]
        require(same_keys, f"law 3: {name}: state_dict keys changed while accelerated")
    session.restore()
    after = anatomy(pipe)
    changed = sorted(where for where in before.keys() | after.keys() if before.get(where) != after.get(where))
    require(not changed, f"law 3: changed after restore: {', '.join(changed[:5])}")
    must_equal("law 3: restored and plain", sample(pipe), plain)


def check_fresh(make_pipe: MakePipe, sample: Sample, plan: Plan, between: Sample | None = None) -> None:
    """Law 4: a call after another call, or after an interrupted one, equals the call on a fresh pipe.

    Args:
        make_pipe: builds the pipeline.
        sample: the call that is compared.
        plan: how the pipe is cached.
        between: a different call (another size, batch, number of steps, ...) to be made before.
    """
    fresh = make_pipe()
    accelerate(fresh, plan)
    wanted = sample(fresh)

    pipe = make_pipe()
    accelerate(pipe, plan)
    (between or sample)(pipe)
    must_equal("law 4: after another call and on a fresh pipe", sample(pipe), wanted)
    for error in (RuntimeError("interrupted"), KeyboardInterrupt()):
        with failing_denoiser(pipe, at_call=3, error=error):
            try:
                sample(pipe)
            except type(error):
                pass
            else:
                raise LawBroken("law 4: the interruption did not reach the caller")
        must_equal(f"law 4: after {type(error).__name__} and on a fresh pipe", sample(pipe), wanted)


def check_independent(make_pipe: MakePipe, sample: Sample, plan: Plan) -> None:
    """Law 5: another pipeline of the class, and one that shares all models, keep their results."""
    plain = sample(make_pipe())
    pipe, other = make_pipe(), make_pipe()
    sharing = type(pipe).from_pipe(pipe)
    session = accelerate(pipe, plan)
    wanted = sample(pipe)
    must_equal("law 5: another pipeline of the class and plain", sample(other), plain)
    must_equal("law 5: a pipeline with the same models and plain", sample(sharing), plain)
    with accelerate(other, interval=2):
        must_equal("law 5: accelerated beside another accelerated one and alone", sample(pipe), wanted)
    must_equal("law 5: after all of them and before", sample(pipe), wanted)
    session.restore()


def check_cheaper(pipe: Any, sample: Sample) -> None:
    """Law 6: the counted MACs of a cached step are those of a full one less those of the modules cut out."""
    for name, model, adapter, call in denoiser_calls(pipe, sample):
        per_module = macs_by_module(model, call)
        full = count_macs(model, Shapes(call))
        cheaper_than = full
        for branch in reversed(range(adapter.branches(model))):
            cut = adapter.cut(model, branch)
            counted = count_macs(model, Shapes(call), cut)
            predicted = full - sum(per_module.get(module, 0) for module in dead_modules(model, cut))  # type: ignore[operator]
            where = f"law 6: {name}, branch {branch}"
            require(counted == predicted, f"{where}: counted {counted} MACs, the cut predicts {predicted}")
            require(counted < cheaper_than, f"{where}: {counted} MACs are not fewer than {cheaper_than}")  # type: ignore[operator]
            cheaper_than = counted


def check_one_feature(pipe: Any, sample: Sample, plan: Plan) -> None:
    """Law 7: during a run the session holds what the report says, and afterwards nothing.

    What it holds is found by following every reference from the session, not by asking it.
    """
    session = accelerate(pipe, plan)
    with bytes_held_at_calls(pipe, session) as held:
        sample(pipe)
    for part in session.report().denoisers:
        # What is seen when a call begins is what the report says of the end of the call before.
        said = [0, *(step.bytes_held for step in part.steps[:-1])]
        require(held[part.name] == said, f"law 7: {part.name}: holds {held[part.name]}, says {said}")
    left = bytes_reachable(session)
    require(left == 0, f"law 7: {left} bytes are still held after the run")
    session.restore()
