"""The laws of what is kept: copies, as many as are said, and nothing when a run is over."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from mmcache.api.accelerate import accelerate
from mmcache.api.session import Session
from mmcache.architectures.adapter import Adapter
from mmcache.clocks.latents import tensors_in
from mmcache.layouts.cut import full_view
from mmcache.plans.branch import NOTHING
from mmcache.plans.plan import Plan
from mmcache.testing.probes import (
    bytes_held_at_calls,
    bytes_reachable,
    copied,
    denoiser_calls,
    denoisers_of,
    failing_denoiser,
    feature_bytes,
    kinds_of_calls,
    must_equal,
    require,
)

Sample = Callable[[Any], Any]


class Stopped(Exception):
    """A run is left in its middle, by somebody outside of the denoiser."""


def check_kept_apart(pipe: Any, sample: Sample) -> None:
    """Law 1: what a tap keeps is its own: what passes it may be written to behind it, as FreeU does."""
    for name, model, adapter, call in denoiser_calls(pipe, sample):
        for branch in range(adapter.branches(model)):
            cut = adapter.cut(model, branch)
            passed: list[torch.Tensor] = []

            def note(module: Any, args: Any, kwargs: Any, output: Any, passed: list[Any] = passed) -> None:
                tensors = (leaf for leaf in tree_leaves((args, kwargs, output)) if torch.is_tensor(leaf))
                passed.extend(tensor for tensor in tensors if tensor.is_floating_point())

            owners = {id(swap.owner): swap.owner for swap in cut.listen}
            handles = [one.register_forward_hook(note, with_kwargs=True) for one in owners.values()]
            full_view(model, [cut]).module(**copied(call))
            for handle in handles:
                handle.remove()
            before = [tensor.clone() for tensor in cut.tap.peek(cut.tensors)]
            for tensor in passed:
                with suppress(RuntimeError):  # one that is expanded cannot be written to
                    tensor.fill_(torch.nan)
            for kept, wanted in zip(cut.tap.take(cut.tensors), before, strict=True):
                must_equal(f"law 1: {name}, branch {branch}: the kept feature behind the tap", kept, wanted)


def check_one_feature(pipe: Any, sample: Sample, plan: Plan) -> None:
    """Law 7: a run holds one feature per lane and branch for each that its forecast needs, then nothing.

    What a session holds is found by following every reference from it, not by asking it; the report has
    to say the same. What `Adaptive` compares with is held beside the features, and is not limited here. What
    tells a call from another is held beside them too: at most its arguments and those of the call before.
    """
    sizes, beside = {}, {}
    for name, model, adapter, kinds in kinds_of_calls(pipe, sample):
        sizes[name] = max(
            sum(kept_bytes(model, adapter, branch, one) for branch in plan.branches) for one in kinds
        )
        beside[name] = max(map(bytes_of, kinds))
    session = accelerate(pipe, plan)
    with bytes_held_at_calls(pipe, session) as held:
        sample(pipe)
    for name, driver in session.denoisers.items():
        calls = driver.run.calls
        # What is seen when a call begins is what is reported of the end of the call before. The first call
        # of a run finds what a run before left that was stopped early (to find a noise or a mask, say).
        said = [call.bytes_held for call in calls[:-1]]
        seen = held[name][len(held[name]) - len(said) :]
        require(seen == said, f"law 7: {name}: holds {seen}, says {said}")
        lanes = 1 + max(call.lane for call in calls)
        most = lanes * (plan.forecast.memory * sizes[name] + 2 * beside[name])
        if not plan.policy.needs_change:
            require(
                max(said, default=0) <= most,
                f"law 7: {name}: holds {max(said, default=0)} bytes, needs {most}",
            )
    require_nothing_held(session, "after the run")
    with failing_denoiser(pipe, at_call=3, error=KeyboardInterrupt()), suppress(KeyboardInterrupt):
        sample(pipe)
    require_nothing_held(session, "after an interrupted run")
    with stopped_behind(pipe, at_call=2), suppress(Stopped):
        sample(pipe)
    session.restore()
    require_nothing_held(session, "after restore in the middle of a run")


def kept_bytes(model: nn.Module, adapter: Adapter, branch: int, call: dict[str, Any]) -> int:
    """Bytes of what a branch keeps of one call: a feature, or where nothing runs the output."""
    if branch == NOTHING:
        return sum(tensor.nbytes for tensor in tensors_in(model(**copied(call))))
    return feature_bytes(model, adapter.cut(model, branch), call)


def bytes_of(call: dict[str, Any]) -> int:
    return sum(leaf.nbytes for leaf in tree_leaves(call) if isinstance(leaf, torch.Tensor))


def require_nothing_held(session: Session, when: str) -> None:
    left = bytes_reachable(session)
    require(left == 0, f"law 7: {left} bytes are still held {when}")


@contextmanager
def stopped_behind(pipe: Any, at_call: int) -> Iterator[None]:
    """A run ends behind the `at_call`-th call of a denoiser, without its knowing: a callback raises, say."""
    handles = []
    for part in denoisers_of(pipe).values():
        calls: list[None] = []

        def stop(module: Any, args: Any, output: Any, calls: list[None] = calls) -> None:
            calls.append(None)
            if len(calls) == at_call:
                raise Stopped

        handles.append(part.module.register_forward_hook(stop))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
