"""The one counter of multiply-adds for runs without a session: by component, and of all denoisers.

A call is noted by the shapes of its arguments only. Its multiply-adds are counted afterwards on the meta
device (`mmcache.macs.count`), once for all calls of a model of the same shape. Denoisers and side networks
under a session are counted by the session itself (`mmcache.api.report`).
"""

import inspect
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

from mmcache.api.figures import sum_or_none
from mmcache.api.report import Report
from mmcache.api.resolved_pipeline import find_denoisers, find_side_networks, models_of
from mmcache.engine.call_macs import counted_of, weights_of
from mmcache.engine.call_signature import call_signature
from mmcache.macs.conventions import EVERYTHING, Convention
from mmcache.macs.count import MacsUnknownError, require_macs, shapes_of
from mmcache.patching.forward_patch import Around, is_compiled, patch_forward, unwrap_compiled
from mmcache.tools.running.runner import timed_models

# Text encoders compute padding like any token, so the mask changes no count. But transformers reads its
# values, and on the meta device there are none.
MASK = "attention_mask"


class CallShape(NamedTuple):
    """Calls of the same shape: their module, and their arguments by name, on the meta device."""

    module: nn.Module
    shapes: dict[str, Any]

    def macs(self, convention: Convention) -> int:
        """Multiply-adds of one such call.

        Raises:
            MacsUnknownError: they cannot be counted; the message says why.
        """
        try:
            return require_macs(self.module, self.shapes, convention=convention)
        except MacsUnknownError:
            if MASK not in self.shapes:
                raise
        unmasked = {name: value for name, value in self.shapes.items() if name != MASK}
        return require_macs(self.module, unmasked, convention=convention)


class CallCounter:
    """The calls of a model, or of several of its modules; nested calls count as their outermost.

    Attributes:
        calls: how many there were of each shape.
        unknown: why multiply-adds could not be counted, after `macs()`; "" where they could.
    """

    def __init__(self) -> None:
        self.calls: Counter[Hashable] = Counter()
        self.unknown = ""
        self._depth = 0
        self._shapes: dict[Hashable, CallShape] = {}
        self._unknown: dict[tuple[Hashable, Convention], MacsUnknownError] = {}

    def around(self, module: nn.Module) -> Around:
        """The wrapper that counts calls of one module's forward."""

        def counting(forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            self._depth += 1
            try:
                if self._depth == 1:
                    self.note(module, args, kwargs)
                return forward(*args, **kwargs)
            finally:
                self._depth -= 1

        return counting

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Calls within the block are not counted."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def note(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Count one call."""
        names = list(inspect.signature(type(module).forward).parameters)[1:]
        call = dict(zip(names, args, strict=False)) | kwargs
        key = (id(module), tuple(call), call_signature(call))
        if key not in self._shapes:  # before the call: models take entries out of lists that they get
            self._shapes[key] = CallShape(module, shapes_of(call))
        self.calls[key] += 1

    def macs(self, convention: Convention = EVERYTHING) -> int | None:
        """Multiply-adds of all calls; None if those of one cannot be counted, and `unknown` says why."""
        counts = [(self._macs_of(key, convention), times) for key, times in self.calls.items()]
        failures = [once for once, _ in counts if isinstance(once, MacsUnknownError)]
        self.unknown = str(failures[0]) if failures else ""
        return sum_or_none(
            [None if isinstance(once, MacsUnknownError) else once * times for once, times in counts]
        )

    def _macs_of(self, key: Hashable, convention: Convention) -> int | MacsUnknownError:
        if (key, convention) in self._unknown:
            return self._unknown[key, convention]
        shape = self._shapes[key]
        known = counted_of(shape.module)  # by other counters too: a sweep has one for each configuration
        kind = ("a call", weights_of(shape.module), key, convention)
        if kind not in known:
            try:
                known[kind] = shape.macs(convention)
            except MacsUnknownError as error:
                return self._unknown.setdefault((key, convention), error)
        return known[kind] or 0


@contextmanager
def counted_components(pipe: Any) -> Iterator[dict[str, CallCounter]]:
    """Count, within the block, the calls of the components that no session counts, by name.

    A VAE is called at several places (`encode`, `decode`), never at its `forward`. So the outermost calls of
    a component and of its direct children are counted.
    """
    by_session = {id(unwrap_compiled(model)) for model in timed_models(pipe)}
    counters: dict[str, CallCounter] = {}
    with ExitStack() as undo:
        for name, component in models_of(pipe).items():
            model = unwrap_compiled(component)
            if any(id(module) in by_session for module in model.modules()):
                continue
            counters[name] = CallCounter()
            undo.callback(patch_forward(component, counters[name].around(model)))
            for child in () if is_compiled(component) else model.children():
                undo.callback(patch_forward(child, counters[name].around(child)))
        yield counters


def macs_by_component(
    counters: Mapping[str, CallCounter], report: Report
) -> dict[str, dict[str, int | None]]:
    """Multiply-adds of a run, with caching and without, by component; None where they cannot be counted.

    Args:
        counters: from `counted_components` around the run.
        report: of the session, on the same run.

    Returns:
        `{"unet": {"full": ..., "cached": ...}, "vae": ...}`. Components without a session take the same both
        ways; components that the run did not call are left out.
    """
    found = {part.name: {"full": part.full_macs, "cached": part.macs} for part in report.parts}
    for name, counter in counters.items():
        if counter.calls:
            macs = counter.macs()
            found[name] = {"full": macs, "cached": macs}
    return found


def unknown_macs(counters: Mapping[str, CallCounter]) -> tuple[str, ...]:
    """A sentence for each component whose multiply-adds `macs_by_component` could not count."""
    return tuple(
        f"the MACs of {name} are not counted: {counter.unknown}"
        for name, counter in counters.items()
        if counter.unknown
    )


@dataclass(frozen=True)
class PipelineCounter:
    """The counters of a pipeline's denoisers, and of the networks beside them."""

    denoisers: tuple[CallCounter, ...]
    side_networks: tuple[CallCounter, ...]

    def take(self) -> tuple[int, int | None]:
        """Denoiser calls, and multiply-adds of all models, since the last `take`."""
        counters = (*self.denoisers, *self.side_networks)
        calls = sum(counter.calls.total() for counter in self.denoisers)
        macs = sum_or_none([counter.macs() for counter in counters])
        for counter in counters:
            counter.calls.clear()
        return calls, macs

    @property
    def unknown(self) -> str:
        """Why the last `take` could not count; "" where it could."""
        return next((one.unknown for one in (*self.denoisers, *self.side_networks) if one.unknown), "")


@contextmanager
def counted_denoisers(pipe: Any) -> Iterator[PipelineCounter]:
    """Count, within the block, the calls of denoisers and side networks of a pipeline without a session."""
    with ExitStack() as undo:

        def counters(parts: Iterable[Any]) -> tuple[CallCounter, ...]:
            counted = []
            for part in parts:
                model = part.model
                counted.append(CallCounter())
                undo.callback(patch_forward(model, counted[-1].around(model), owner=counted[-1]))
            return tuple(counted)

        yield PipelineCounter(
            counters(find_denoisers(pipe).values()), counters(find_side_networks(pipe).values())
        )
