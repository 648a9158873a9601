"""Multiply-adds of a pipeline's run by component: text encoder, VAE, denoiser, ControlNet and all others.

Denoisers and side networks are counted by their own session (`mmcache.report`). Of every other component
the calls are noted while the pipeline runs, by their shapes only, and counted afterwards on the meta device.
A VAE is called at several places (`encode`, `decode`), never at its `forward`; so what is noted are the
outermost calls of a component and of its direct children.
"""

import inspect
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from mmcache.counting import EVERYTHING, Convention
from mmcache.engine.history import signature
from mmcache.engine.shadow import Around, is_compiled, own_model, shadow_forward
from mmcache.macs import count_macs, shapes_of
from mmcache.parts import find_denoisers, find_side_networks, models_of
from mmcache.report import Report, total

# Of text encoders. Padding is computed like any token, so the mask changes no count; but transformers looks
# into it, and on the meta device there is nothing to see.
MASK = "attention_mask"


@dataclass
class NotedCall:
    """Calls of one module that look alike.

    Attributes:
        module: what was called.
        shapes: its arguments on the meta device, by name.
        times: how often.
    """

    module: nn.Module
    shapes: dict[str, Any]
    times: int = 0

    def macs(self, convention: Convention) -> int | None:
        """Multiply-adds of all of them; None if they cannot be counted."""
        once = count_macs(self.module, self.shapes, convention=convention)
        if once is None and MASK in self.shapes:
            unmasked = {name: value for name, value in self.shapes.items() if name != MASK}
            once = count_macs(self.module, unmasked, convention=convention)
        return None if once is None else self.times * once


@dataclass
class ComponentCalls:
    """What was called of one component.

    Attributes:
        depth: how many calls are under way; only the outermost is noted, the others are part of it.
        noted: the calls, by module and look.
    """

    depth: int = 0
    noted: dict[Hashable, NotedCall] = field(default_factory=dict)

    def around(self, module: nn.Module) -> Around:
        """What stands around the forward of one of its modules."""

        def noting(forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            self.depth += 1
            try:
                if self.depth == 1:
                    self.note(module, args, kwargs)
                return forward(*args, **kwargs)
            finally:
                self.depth -= 1

        return noting

    def note(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = list(inspect.signature(type(module).forward).parameters)[1:]
        call = dict(zip(names, args, strict=False)) | kwargs
        key = (id(module), tuple(call), signature(call))
        if key not in self.noted:
            self.noted[key] = NotedCall(module, shapes_of(call))
        self.noted[key].times += 1

    def macs(self, convention: Convention = EVERYTHING) -> int | None:
        """Multiply-adds of all calls; None if one of them cannot be counted."""
        return total([call.macs(convention) for call in self.noted.values()])


@contextmanager
def noted_calls(pipe: Any) -> Iterator[dict[str, ComponentCalls]]:
    """Note, within the block, the calls of the components that no session counts. By name."""
    counted = {id(own_model(part.model)) for part in find_denoisers(pipe).values()}
    counted |= {id(own_model(part.model)) for part in find_side_networks(pipe).values()}
    calls: dict[str, ComponentCalls] = {}
    with ExitStack() as undo:
        for name, component in models_of(pipe).items():
            model = own_model(component)
            if any(id(module) in counted for module in model.modules()):
                continue
            calls[name] = ComponentCalls()
            undo.callback(shadow_forward(component, calls[name].around(model)))
            for child in () if is_compiled(component) else model.children():
                undo.callback(shadow_forward(child, calls[name].around(child)))
        yield calls


def macs_by_component(calls: dict[str, ComponentCalls], report: Report) -> dict[str, dict[str, int | None]]:
    """Multiply-adds of a run, with caching and without, by component; None where they cannot be counted.

    Args:
        calls: from `noted_calls` around the run.
        report: of the session, on the same run.

    Returns:
        `{"unet": {"full": ..., "cached": ...}, "vae": ...}`. What no session caches takes the same both ways;
        what the run did not call is not in it.
    """
    found = {part.name: {"full": part.full_macs, "cached": part.macs} for part in report.parts}
    for name, component in calls.items():
        if component.noted:
            macs = component.macs()
            found[name] = {"full": macs, "cached": macs}
    return found
