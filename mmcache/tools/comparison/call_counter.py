"""Counts calls of a model while a pipeline runs: how many there are, and the multiply-adds that they take.

A call is noted by the shapes of its arguments only; its multiply-adds are counted afterwards, once for all
calls that look alike, on the meta device (`mmcache.macs.count`).
"""

import inspect
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import nn

from mmcache.api.report import sum_or_none
from mmcache.engine.call_signature import call_signature
from mmcache.macs.conventions import EVERYTHING, Convention
from mmcache.macs.count import count_macs, shapes_of
from mmcache.patching.forward_patch import Around

# Of text encoders. Padding is computed like any token, so the mask changes no count; but transformers looks
# into it, and on the meta device there is nothing to see.
MASK = "attention_mask"


class Look(NamedTuple):
    """What calls that look alike have in common: a module, and its arguments on the meta device, by name."""

    module: nn.Module
    shapes: dict[str, Any]

    def macs(self, convention: Convention) -> int | None:
        """Multiply-adds of one such call; None if they cannot be counted."""
        once = count_macs(self.module, self.shapes, convention=convention)
        if once is None and MASK in self.shapes:
            unmasked = {name: value for name, value in self.shapes.items() if name != MASK}
            once = count_macs(self.module, unmasked, convention=convention)
        return once


class CallCounter:
    """The calls of a model, or of several of its modules; of calls within calls only the outermost.

    Attributes:
        calls: how many there were of each look.
    """

    def __init__(self) -> None:
        self.calls: Counter[Hashable] = Counter()
        self._depth = 0
        self._looks: dict[Hashable, Look] = {}
        self._macs: dict[tuple[Hashable, Convention], int | None] = {}

    def around(self, module: nn.Module) -> Around:
        """What stands around the forward of one of its modules."""

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
        if key not in self._looks:  # before the call: models take entries out of lists that they are given
            self._looks[key] = Look(module, shapes_of(call))
        self.calls[key] += 1

    def macs(self, convention: Convention = EVERYTHING) -> int | None:
        """Multiply-adds of all calls; None if those of one cannot be counted."""
        return sum_or_none([self._macs_of(key, count, convention) for key, count in self.calls.items()])

    def _macs_of(self, key: Hashable, count: int, convention: Convention) -> int | None:
        if (key, convention) not in self._macs:
            self._macs[key, convention] = self._looks[key].macs(convention)
        once = self._macs[key, convention]
        return None if once is None else count * once
