"""What runs in a denoiser's call: the whole model with taps, a skip branch, or nothing."""

from typing import Any

import torch
from torch import nn

from mmcache.compat.group_offload import learns_order, send_back
from mmcache.engine.few_steps import FewSteps
from mmcache.engine.lazy_tensor import materialize
from mmcache.engine.run import Call, Run
from mmcache.engine.run_views import Forward
from mmcache.engine.verification import CutVerification, copied
from mmcache.layouts.cut import Cut, filled
from mmcache.plans.branch import NOTHING
from mmcache.plans.plan import Plan


class DenoiserCalls:
    """Runs the calls of one denoiser.

    Args:
        model: the denoiser.
        plan: forecasts what a cached step gets.
        verification: of its cuts.
        few_steps: warns of runs that are too short.
    """

    def __init__(
        self, model: nn.Module, plan: Plan, verification: CutVerification, few_steps: FewSteps
    ) -> None:
        self._model = model
        self._plan = plan
        self._verification = verification
        self._few_steps = few_steps

    def run(
        self, run: Run, call: Call, forward: Forward, arguments: dict[str, Any]
    ) -> tuple[Any, tuple[Cut, ...]]:
        """Run the model, or a skip branch; returns its result and the cuts whose taps have listened."""
        if call.branch is None:
            return self._run_full(run, call, forward, arguments)
        if not self._verification.needed:
            return self._run_cached(run, call, call.branch, forward, arguments)
        again = copied(arguments)  # models change some
        try:
            return self._run_cached(run, call, call.branch, forward, arguments)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # a forward that nobody described may do something else at another time
            self._verification.fail(f"a cached step fails with {type(error).__name__}: {error}")
            run.views.forget()
            call.branch = None
            return self._run_full(run, call, forward, again)

    def _run_full(
        self, run: Run, call: Call, forward: Forward, arguments: dict[str, Any]
    ) -> tuple[Any, tuple[Cut, ...]]:
        """Run the whole model; returns its result and the cuts whose taps have listened."""
        arguments = materialize(arguments)
        whole = run.views.full()
        if not self._verification.is_missing(call.form):
            return whole.call(forward)(**arguments), whole.taps
        before = self._verification.begin(whole.view.module, arguments)
        result = whole.call(forward)(**arguments)
        features = {cut: cut.tap.peek(cut.tensors) for cut in whole.taps}
        # While diffusers learns the order of layers, the calls of a verification would be learned too: this
        # step keeps nothing, and the next one, which is full, is verified.
        if learns_order(self._model):
            run.views.forget()
            return result, ()
        view = whole.view.module
        self._verification.verify(call.form, self._model, view, features, forward, before, result)
        return result, whole.taps

    def _run_cached(
        self, run: Run, call: Call, branch: int, forward: Forward, arguments: dict[str, Any]
    ) -> tuple[Any, tuple[Cut, ...]]:
        """Run a skip branch, or nothing; returns its result and the cuts whose taps have listened."""
        self._few_steps.warn(call.step.clock.total)
        if branch == NOTHING:
            send_back(self._model)
            return call.lane.forecast_output(call.step.clock, self._plan.forecast), ()
        smaller = run.views.cached(branch)
        cut = run.views.cuts[branch]
        feature = call.lane.forecast(branch, call.step.clock, self._plan.forecast)
        with filled(cut.slot, feature):
            return smaller.run(forward, materialize(cut.arguments(arguments))), smaller.taps
