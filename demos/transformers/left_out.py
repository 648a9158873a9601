"""Which modules of a model a call leaves out, and what these take in a call that leaves out nothing."""

import inspect
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmcache.inspecting.inspection import by_module
from mmcache.macs import shapes_of, skeleton

WEIGHING = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
LeftOut = frozenset[str]
"""Names of modules, none of which is within another one."""


@contextmanager
def hooked(handles: Iterable[Any]) -> Iterator[None]:
    """Hooks, for a while."""
    with ExitStack() as undo:
        for handle in handles:
            undo.callback(handle.remove)
        yield


class CallWatch:
    """Notes of every call of a model which of its layers ran: those that multiply by weights.

    Attributes:
        calls: of each call, what it left out.
        given: the arguments of the first call, by name.
    """

    def __init__(self, model: nn.Module) -> None:
        self.calls: list[LeftOut] = []
        self.given: dict[str, Any] = {}
        self._model = model
        self._layers = {name for name, module in model.named_modules() if isinstance(module, WEIGHING)}
        self._ran: set[str] = set()

    @contextmanager
    def __call__(self) -> Iterator["CallWatch"]:
        handles = [
            self._model.get_submodule(name).register_forward_pre_hook(
                lambda *_, name=name: self._ran.add(name)
            )
            for name in self._layers
        ]
        handles.append(self._model.register_forward_pre_hook(self._begins, with_kwargs=True))
        handles.append(self._model.register_forward_hook(self._ends))
        with hooked(handles):
            yield self

    def _begins(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self.given:
            names = list(inspect.signature(type(model).forward).parameters)[1:]
            self.given = dict(zip(names, args, strict=False)) | kwargs

    def _ends(self, *_: Any) -> None:
        missing, self._ran = self._layers - self._ran, set()
        self.calls.append(frozenset(self._outermost(self._model, "", missing)))

    def _outermost(self, module: nn.Module, name: str, missing: set[str]) -> Iterator[str]:
        inside = {one for one in self._layers if one == name or one.startswith(f"{name}." if name else "")}
        if inside and inside <= missing and not isinstance(module, nn.ModuleList):  # which is never called
            yield name
        elif inside & missing:
            for child, part in module.named_children():
                yield from self._outermost(part, f"{name}.{child}" if name else child, missing)


class Price:
    """What the modules of a model take in a call that runs all of them.

    Args:
        model: the denoiser; nothing is computed with it.
        call: the arguments of one call, by name.
    """

    def __init__(self, model: nn.Module, call: Mapping[str, Any]) -> None:
        bare, counter = skeleton(model), FlopCounterMode(display=False)
        taken = by_module(bare, counter)
        with torch.no_grad(), counter:
            bare(**shapes_of(dict(call)))
        self.full = counter.get_total_flops() // 2
        self._macs = {name: taken.get(id(module), 0) // 2 for name, module in bare.named_modules()}

    def macs(self, left_out: LeftOut) -> int:
        """Multiply-adds of a call that leaves these out."""
        return self.full - sum(self._macs[name] for name in left_out)


class Seconds:
    """Times calls of a model, and within them those of some of its modules."""

    def __init__(self, model: nn.Module, inside: Iterable[str] = ()) -> None:
        self._modules = {"": model, **{name: model.get_submodule(name) for name in inside}}
        self.taken: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def __call__(self) -> Iterator["Seconds"]:
        began: dict[str, float] = {}

        def enter(name: str) -> None:
            began[name] = time.perf_counter()

        def leave(name: str) -> None:
            self.taken[name].append(time.perf_counter() - began[name])

        handles = []
        for name, module in self._modules.items():
            handles.append(module.register_forward_pre_hook(lambda *_, name=name: enter(name)))
            handles.append(module.register_forward_hook(lambda *_, name=name: leave(name)))
        with hooked(handles):
            yield self

    def typical(self, name: str = "") -> float:
        return median(self.taken[name])
