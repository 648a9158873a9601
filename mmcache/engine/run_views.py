"""The views that a run calls: the whole model with taps, and a skip branch for each branch of the plan."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from torch import nn

from mmcache.architectures.adapter import Adapter
from mmcache.compat.group_offload import KeptGroups, kept_groups, within
from mmcache.layouts.cut import Cut, cached_view, full_view
from mmcache.patching.foreign_forward import rebound
from mmcache.patching.view import View

Forward = Callable[..., Any]


class Variant:
    """One view, how it is called, and what group offload needs around it."""

    def __init__(self, model: nn.Module, view: View, taps: tuple[Cut, ...]) -> None:
        self.model = model
        self.view = view
        self.taps = taps
        self._bound: dict[int, tuple[Forward, Forward]] = {}

    def call(self, forward: Forward) -> Forward:
        """A forward of the model, bound to the view."""
        known = self._bound.get(id(forward))
        if known is None:
            known = self._bound[id(forward)] = forward, rebound(forward, self.model, self.view.module)
        return known[1]

    def run(self, forward: Forward, arguments: dict[str, Any]) -> Any:
        """Call the view in place of the model, whose groups of offloaded blocks it has to look after."""
        smaller = self.call(forward)
        if self.groups is None:
            return smaller(**arguments)
        with within(self.groups):
            return smaller(**arguments)

    @cached_property
    def groups(self) -> KeptGroups | None:
        """Looked for once, behind a full step: only then does diffusers know the order of its groups."""
        return kept_groups(self.model, set(self.view.remaining()))


class RunViews:
    """The views of one model in one run.

    They are made when they are first called, and made anew when the model's owner has changed what they copy.

    Args:
        model: the denoiser.
        adapter: describes it.
        branches: those of the plan.

    Attributes:
        cuts: by branch.
    """

    def __init__(self, model: nn.Module, adapter: Adapter, branches: Sequence[int]) -> None:
        self._model = model
        self._adapter = adapter
        self._branches = tuple(branches)
        self._variants: dict[int | None, Variant] = {}

    @cached_property
    def cuts(self) -> dict[int, Cut]:
        return {branch: self._adapter.cut(self._model, branch) for branch in self._branches}

    def full(self) -> Variant:
        """The whole model; its taps are those of all branches."""
        return self._variant(None)

    def cached(self, branch: int) -> Variant:
        """A skip branch; its taps are those of shallower branches."""
        return self._variant(branch)

    def forget(self) -> None:
        """Hold nothing of a call that was interrupted."""
        for cut in vars(self).get("cuts", {}).values():
            cut.tap.forget()

    def check(self) -> None:
        """Make every view once.

        Raises:
            UnsupportedPipelineError: a module has a forward that cannot be repeated on a copy.
        """
        for branch in (None, *self._branches) if self._branches else ():
            self._variant(branch)

    def _variant(self, branch: int | None) -> Variant:
        variant = self._variants.get(branch)
        if variant is None:
            return self._variants.setdefault(branch, self._make(branch))
        if not variant.view.is_current():
            del self.cuts
            self._variants = {}
            return self._variant(branch)
        return variant

    def _make(self, branch: int | None) -> Variant:
        # Always the same taps, even where nothing will reuse them: one compiled graph for all full steps.
        taps = tuple(cut for cut in self.cuts.values() if branch is None or cut.branch < branch)
        if branch is None:
            return Variant(self._model, full_view(self._model, taps), taps)
        return Variant(self._model, cached_view(self._model, self.cuts[branch], taps), taps)
