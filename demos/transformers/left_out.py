"""Which modules of a model a call leaves out, and the multiply-adds of what it runs."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from mmcache.macs.count import shapes_of, skeleton
from mmcache.macs.operations import ByShapes
from mmcache.tools.inspecting.inspection import by_module

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


class WeightsSeen(TorchFunctionMode):
    """Which layers multiplied by their weights. That a layer was called does not tell: a cache may stand in
    the place of its forward.

    Attributes:
        names: of the layers, by the identity of their weights.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.names = {
            id(module.weight): name for name, module in model.named_modules() if isinstance(module, WEIGHING)
        }
        self._ran: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        weights = args[1:]  # what stands first is multiplied, or is a weight of which something is asked
        self._ran |= {self.names[id(one)] for one in weights if id(one) in self.names}
        return func(*args, **(kwargs or {}))

    def take(self) -> set[str]:
        """Those since the last time this was asked."""
        ran, self._ran = self._ran, set()
        return ran


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
        self._seen = WeightsSeen(model)
        self._layers = set(self._seen.names.values())

    @contextmanager
    def __call__(self) -> Iterator["CallWatch"]:
        handles = [
            self._model.register_forward_pre_hook(self._begins, with_kwargs=True),
            self._model.register_forward_hook(self._ends),
        ]
        with hooked(handles), self._seen:
            yield self

    def _begins(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self.given:
            names = list(inspect.signature(type(model).forward).parameters)[1:]
            self.given = dict(zip(names, args, strict=False)) | kwargs

    def _ends(self, *_: Any) -> None:
        missing = self._layers - self._seen.take()
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
        bare, counter = skeleton(model), ByShapes()
        taken = by_module(bare, counter)
        with torch.no_grad(), counter:
            bare(**shapes_of(dict(call)))
        self.full = counter.total
        self._macs = {name: taken.get(id(module), 0) for name, module in bare.named_modules()}

    def macs(self, left_out: LeftOut) -> int:
        """Multiply-adds of a call that leaves these out."""
        return self.full - sum(self._macs[name] for name in left_out)
