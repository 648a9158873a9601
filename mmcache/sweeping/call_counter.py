"""What a run without a session costs: calls and multiply-adds of every denoiser and side network."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from inspect import signature as parameters_of
from typing import Any

from torch import nn

from mmcache.engine.history import signature
from mmcache.engine.shadow import own_model, shadow_forward
from mmcache.macs import count_macs, shapes_of
from mmcache.parts import find_denoisers, find_side_networks
from mmcache.report import total


class CallCounter:
    """Stands around one model's forward and counts its calls by their shapes."""

    def __init__(self, model: nn.Module) -> None:
        self.model = own_model(model)
        self.parameters = list(parameters_of(type(self.model).forward).parameters)[1:]
        self.calls: Counter[Hashable] = Counter()
        self._shapes: dict[Hashable, dict[str, Any]] = {}
        self._macs: dict[Hashable, int | None] = {}

    def __call__(self, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = dict(zip(self.parameters, args, strict=False)) | kwargs
        form = signature(call)
        if form not in self._shapes:
            self._shapes[form] = shapes_of(call)
        self.calls[form] += 1
        return forward(*args, **kwargs)

    def macs(self) -> int | None:
        """Of all calls; None where they cannot be counted."""
        return total([self._macs_of(form, count) for form, count in self.calls.items()])

    def _macs_of(self, form: Hashable, count: int) -> int | None:
        if form not in self._macs:
            self._macs[form] = count_macs(self.model, self._shapes[form])
        each = self._macs[form]
        return None if each is None else each * count


class PipeCounter:
    """The counters of a pipeline's models, together."""

    def __init__(self, denoisers: list[CallCounter], side_networks: list[CallCounter]) -> None:
        self.denoisers = denoisers
        self.side_networks = side_networks

    def take(self) -> tuple[int, int | None]:
        """Denoiser calls, and multiply-adds of all models, since the last time this was asked."""
        counters = [*self.denoisers, *self.side_networks]
        calls = sum(counter.calls.total() for counter in self.denoisers)
        macs = total([counter.macs() for counter in counters])
        for counter in counters:
            counter.calls.clear()
        return calls, macs


@contextmanager
def counted(pipe: Any) -> Iterator[PipeCounter]:
    """Count what the models of a pipeline do within the block."""
    denoisers = [CallCounter(part.model) for part in find_denoisers(pipe).values()]
    side_networks = [CallCounter(part.model) for part in find_side_networks(pipe).values()]
    with ExitStack() as undo:
        for counter in (*denoisers, *side_networks):
            undo.callback(shadow_forward(counter.model, counter, owner=counter))
        yield PipeCounter(denoisers, side_networks)
