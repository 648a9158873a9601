"""The laws that every adapter obeys, each a function.

`make_pipe()` builds a small pipeline, the same each time (seed the weights); `sample(pipe)` runs it with a
fixed seed and returns its result as a tensor or array. They raise `LawBroken`, which says what was
compared. All comparisons are bit for bit.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mmcache.api.accelerate import accelerate
from mmcache.api.resolved_pipeline import find_denoisers, find_side_networks
from mmcache.api.session import Session
from mmcache.api.steps import Residuals, steps_of
from mmcache.engine.call_signature import first_tensor
from mmcache.errors import UnsupportedPipelineError
from mmcache.layouts.cut import cached_view, filled, full_view
from mmcache.plans.branch import NONE
from mmcache.plans.plan import Plan
from mmcache.plans.policy import Uniform
from mmcache.testing.forecast_outputs import check_output_forecast
from mmcache.testing.kept_features import check_kept_apart, check_one_feature
from mmcache.testing.live_model_laws import check_shared, check_untouched, sharing_models
from mmcache.testing.predicted_macs import dead_modules, macs_by_module, macs_of_call
from mmcache.testing.probes import (
    LawBroken,
    anatomy,
    copied,
    denoiser_calls,
    denoisers_of,
    differences,
    failing_denoiser,
    must_equal,
    require,
)

MakePipe = Callable[[], Any]
Sample = Callable[[Any], Any]


def check_adapter(
    make_pipe: MakePipe, sample: Sample, plan: Plan | None = None, branches: Sequence[int | str] | None = None
) -> None:
    """All laws, at every branch that all denoisers of the pipeline have, and where nothing runs.

    Args:
        make_pipe: builds the pipeline; each one has the same weights.
        sample: runs it with a fixed seed, for at least four steps; returns its result.
        plan: for the laws that need a run with cached steps; every third step full if not given. Its
            branch is replaced by each branch in turn.
        branches: those for the laws of runs, which take some twenty runs a branch; all if not given.

    Raises:
        LawBroken: with the first law that does not hold.
    """
    plan = plan or Plan(Uniform(3))
    check_same_input(make_pipe(), sample)
    check_kept_apart(make_pipe(), sample)
    check_cheaper(make_pipe(), sample)
    check_interval_one(make_pipe, sample)
    check_output_forecast(make_pipe(), sample)
    if branches is None:
        branches = (*range(min(part.branches for part in find_denoisers(make_pipe()).values())), NONE)
    for branch in branches:
        at_branch = replace(plan, branch=branch)
        check_restore(make_pipe, sample, at_branch)
        check_fresh(make_pipe, sample, at_branch)
        check_independent(make_pipe, sample, at_branch)
        check_one_feature(make_pipe(), sample, at_branch)
        check_untouched(make_pipe(), sample, at_branch)
        check_shared(make_pipe, sample, [at_branch, None])
        if find_side_networks(make_pipe()):
            check_side_networks(make_pipe, sample, at_branch)
    check_refuse(make_pipe())


def check_same_input(pipe: Any, sample: Sample) -> None:
    """Law 1: a cached step right after a full step on the same input gives the same output."""
    for name, model, adapter, call in denoiser_calls(pipe, sample):
        keys = list(model.state_dict())
        plain = first_tensor(model(**copied(call)))
        for branch in range(adapter.branches(model)):
            cut = adapter.cut(model, branch)
            full = first_tensor(full_view(model, [cut]).module(**copied(call)))
            with filled(cut.slot, cut.tap.take()):
                reused = first_tensor(cached_view(model, cut).module(**cut.arguments(copied(call))))
            must_equal(f"law 1: {name}, branch {branch}: full with and without tap", full, plain)
            must_equal(f"law 1: {name}, branch {branch}: cached and full", reused, full)
            same_keys = list(model.state_dict()) == keys
            require(same_keys, f"law 1: {name}, branch {branch}: state_dict keys changed")


def check_interval_one(make_pipe: MakePipe, sample: Sample) -> None:
    """Law 2: at interval 1 the pipeline gives what it gives without mmcache."""
    pipe = make_pipe()
    plain = sample(pipe)
    accelerate(pipe, interval=1)
    must_equal("law 2: interval 1 and the plain pipeline", sample(pipe), plain)


def check_restore(make_pipe: MakePipe, sample: Sample, plan: Plan) -> None:
    """Law 3: after restore nothing is left anywhere, and results are those of the plain pipeline."""
    pipe = make_pipe()
    plain = sample(pipe)  # what a pipeline sets on itself when it is first called
    once = anatomy(pipe)
    sample(pipe)  # and what it makes anew at every call
    before = anatomy(pipe)
    made_anew = set(differences(once, before))
    keys = {name: list(part.module.state_dict()) for name, part in denoisers_of(pipe).items()}
    session = accelerate(pipe, plan)
    sample(pipe)
    for name, part in denoisers_of(pipe).items():
        same_keys = list(part.module.state_dict()) == keys[name]
        require(same_keys, f"law 3: {name}: state_dict keys changed while accelerated")
    session.restore()
    changed = [where for where in differences(before, anatomy(pipe)) if where not in made_anew]
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
    pipe = make_pipe()
    session = accelerate(pipe, plan)
    wanted, calls = sample(pipe), call_counts(session)  # the first call of this pipe
    if between is not None:
        pipe = make_pipe()
        session = accelerate(pipe, plan)
        between(pipe)
    must_equal("law 4: after another call and on a fresh pipe", sample(pipe), wanted)
    require(call_counts(session) == calls, f"law 4: reports {call_counts(session)} calls of {calls}")
    for error in (RuntimeError("interrupted"), KeyboardInterrupt()):
        with failing_denoiser(pipe, at_call=3, error=error):
            try:
                sample(pipe)
            except type(error):
                pass
            else:
                raise LawBroken("law 4: the interruption did not reach the caller")
        must_equal(f"law 4: after {type(error).__name__} and on a fresh pipe", sample(pipe), wanted)


def call_counts(session: Session) -> dict[str, int]:
    """How many steps of each denoiser a report has for the last run, without counting their multiply-adds."""
    return {
        name: len(steps_of(scheduler.run.calls, lambda signature, branch: None))
        for name, scheduler in session.denoisers.items()
    }


def check_independent(make_pipe: MakePipe, sample: Sample, plan: Plan) -> None:
    """Law 5: another pipeline of the class, and one that shares all models, keep their results."""
    pipe, other = make_pipe(), make_pipe()
    plain = sample(other)
    sharing = sharing_models(pipe)
    plain_of_sharing = sample(sharing)  # it need not have every setting of the pipe
    session = accelerate(pipe, plan)
    wanted = sample(pipe)
    must_equal("law 5: another pipeline of the class and plain", sample(other), plain)
    must_equal("law 5: a pipeline with the same models and plain", sample(sharing), plain_of_sharing)
    with accelerate(other, interval=2):
        must_equal("law 5: accelerated beside another accelerated one and alone", sample(pipe), wanted)
    must_equal("law 5: after all of them and before", sample(pipe), wanted)
    of_sharing = accelerate(sharing, plan)
    wanted_of_sharing = sample(sharing)
    must_equal("law 5: beside an accelerated one with the same models", sample(pipe), wanted)
    session.restore()
    must_equal("law 5: after the other one was restored", sample(sharing), wanted_of_sharing)
    of_sharing.restore()
    must_equal("law 5: both restored and plain", sample(pipe), plain)


def check_cheaper(pipe: Any, sample: Sample) -> None:
    """Law 6: the counted MACs of a cached step are those of a full one less those of the modules cut out."""
    for name, model, adapter, call in denoiser_calls(pipe, sample):
        per_module = macs_by_module(model, call)
        full = cheaper_than = macs_of_call(model, adapter, call, None)
        require(full is not None, f"law 6: {name}: the MACs of a full call cannot be counted")
        for branch in reversed(range(adapter.branches(model))):
            counted = macs_of_call(model, adapter, call, branch)
            dead = dead_modules(model, adapter.cut(model, branch))
            predicted = full - sum(per_module[module] for module in dead)  # type: ignore[operator]
            where = f"law 6: {name}, branch {branch}"
            require(counted == predicted, f"{where}: counted {counted} MACs, the cut predicts {predicted}")
            require(counted < cheaper_than, f"{where}: {counted} MACs are not fewer than {cheaper_than}")  # type: ignore[operator]
            cheaper_than = counted


def check_side_networks(make_pipe: MakePipe, sample: Sample, plan: Plan) -> None:
    """Law 11: side networks that run no further than a step needs change nothing, and cost less."""
    pipe, whole = make_pipe(), make_pipe()
    session = accelerate(pipe, plan)
    given = sample(pipe)
    for side in accelerate(whole, plan).side_networks.values():
        side.enabled = False
    must_equal("law 11: side networks cut and whole", given, sample(whole))
    require(bool(session.side_networks), "law 11: the pipeline has no side network that mmcache knows")
    for name, network in session.side_networks.items():
        past = network.past
        steps = steps_of(past.calls, network.macs_later(past), Residuals) if past else ()
        cached = [step for step in steps if step.branch is not None]
        require(bool(cached), f"law 11: {name} ran whole at every step")
        for step in cached:
            cheaper = step.macs is not None and step.full_macs is not None and step.macs < step.full_macs
            require(cheaper, f"law 11: {name}, step {step.step}: {step.macs} of {step.full_macs} MACs")


def check_refuse(pipe: Any) -> None:
    """Law 8: a branch that the model does not have, and a pipeline without it, are refused, untouched."""
    before = anatomy(pipe)
    for name, part in find_denoisers(pipe).items():
        many = part.branches
        try:
            accelerate(pipe, interval=2, branch=many)
        except ValueError as error:
            require(str(many) in str(error), f"law 8: {name}: {error!r} does not say that there are {many}")
        else:
            raise LawBroken(f"law 8: {name}: branch {many} of {many} was accepted")
    require(anatomy(pipe) == before, "law 8: a refused plan has changed the pipe")
    try:
        accelerate(type("Empty", (), {})())
    except UnsupportedPipelineError:
        return
    raise LawBroken("law 8: an object that is no pipeline was accepted")
