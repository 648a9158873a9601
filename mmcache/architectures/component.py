"""The models of a pipeline that mmcache drives, each with what describes it."""

import functools
import inspect
import types
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from mmcache.architectures.adapter import PER_STEP, Adapter, SideAdapter
from mmcache.compat.layer_readers import is_put_on
from mmcache.compat.own_code import has_own_hooks
from mmcache.errors import UnsupportedPipelineError
from mmcache.patching.forward_patch import (
    called_by,
    is_compiled,
    is_foreign_method,
    places,
    unwrap_compiled,
)
from mmcache.patching.plain_model import PlainModel, plain_model

UNNAMED = ("argument 0", "argument 1")  # the latent and the time, where arguments have no names


def argument_names(model: nn.Module) -> tuple[str, ...]:
    """The names of a forward's arguments, up to those that have none; () for a scripted module."""
    try:
        return names_of(type(model).forward)
    except (AttributeError, TypeError, ValueError):  # it is made of compiled code
        return ()


@functools.lru_cache(maxsize=1024)
def names_of(forward: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the arguments of a class's forward, without `self`.

    Somebody's forward that takes whatever there is hands it on to one that has names.
    """
    found = list(inspect.signature(forward).parameters.values())[1:]
    names = tuple(one.name for one in found if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD))
    if names or not found:
        return names
    inner = (one for one in called_by(forward) if isinstance(one, types.FunctionType) and one is not forward)
    return next(filter(None, map(names_of, inner)), ())


def takes(forward: Callable[..., Any], names: Iterable[str]) -> bool:
    """Whether a class's forward can be given arguments of these names."""
    found = inspect.signature(forward).parameters.values()
    known = {one.name for one in found}
    return any(one.kind is one.VAR_KEYWORD for one in found) or known.issuperset(names)


@dataclass(frozen=True, eq=False)
class Component:
    """One model of a pipeline.

    Attributes:
        name: within the pipeline.
        module: as the pipeline has it, perhaps compiled.
    """

    name: str
    module: nn.Module

    @cached_property
    def model(self) -> nn.Module:
        """The model itself, where `torch.compile` has put a wrapper around it."""
        return unwrap_compiled(self.module)

    @cached_property
    def class_name(self) -> str:
        return type(self.model).__name__

    @cached_property
    def is_compiled(self) -> bool:
        """Whether its calls went through a compiled graph when it was resolved."""
        return is_compiled(self.module)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of its forward's arguments."""
        return argument_names(self.model)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name; those without a name by their place."""
        named = dict(zip(self.parameters, args, strict=False))
        unnamed = {f"argument {place}": value for place, value in enumerate(args) if place >= len(named)}
        return named | unnamed | dict(kwargs)

    @property
    def is_hooked(self) -> bool:
        """Whether somebody's own hooks run before its calls or behind them."""
        return has_own_hooks(self.module) or (self.model is not self.module and has_own_hooks(self.model))

    def is_current(self, module: nn.Module) -> bool:
        """Whether this module of the pipeline still is the same, and compiled or not as it was."""
        return module is self.module and is_compiled(module) == self.is_compiled


@dataclass(frozen=True, eq=False)
class Denoiser(Component):
    """The model that a sampling loop calls at each step."""

    adapter: Adapter

    @cached_property
    def not_conditioning(self) -> frozenset[str]:
        """The arguments that are another at every step."""
        unnamed = UNNAMED if self.adapter.undescribed else ()
        return PER_STEP | {self.adapter.sample, self.adapter.timestep or "", *self.adapter.per_step, *unnamed}

    @cached_property
    def has_own_forward(self) -> bool:
        """Whether its forward is not the one of the class that the adapter describes.

        A class that derives from that one may have another, or somebody has put one on the instance.
        """
        if any(is_foreign_method(table[name], self.model) for table, name in places(self.model)):
            return True
        kind: Any = type(self.model)
        if is_put_on(kind, "forward"):
            return True
        known: Any = next((cls for cls in kind.__mro__ if cls.__name__ in self.adapter.denoisers), kind)
        return kind is not known and kind.forward is not known.forward

    def check_forward(self) -> None:
        """Whether calls can be told by the names of their arguments.

        Raises:
            UnsupportedPipelineError: somebody has put a forward on its class that has other names.
        """
        forward: Any = getattr(type(self.model), "forward", None)  # a traced model's class has none
        names = {self.adapter.sample, *([self.adapter.timestep] if self.adapter.timestep else [])}
        if is_put_on(type(self.model), "forward") and not (
            names <= set(self.parameters) and takes(forward, names)
        ):
            raise UnsupportedPipelineError(
                f"{self.class_name}.forward was replaced by one without the arguments "
                f"{', '.join(sorted(names))}, by which calls are told: give it these names, or take it off"
            )

    @cached_property
    def seen(self) -> PlainModel | None:
        """What is known of its model, if nothing was put on its layers, as it was when it was resolved."""
        return plain_model(self.model)

    @cached_property
    def branches(self) -> int:
        """How many branches it had when it was resolved."""
        return int(self._once("branches", lambda: self.adapter.branches(self.model)))

    def check_branch(self, branch: int) -> None:
        """Cut it at a branch, for nothing but the error.

        Raises:
            ValueError: it has no such branch.
        """
        self._once(("cut", branch), lambda: self.adapter.cut(self.model, branch) is not None)

    def check_views(self, branches: tuple[int, ...], check: Callable[[], object]) -> None:
        """Make views once, for nothing but the error; not where they were made of the same modules before."""
        self._once(("views", branches), lambda: check() is None)

    def _once(self, what: Hashable, find: Callable[[], Any]) -> Any:
        """What was found out about a plain model under this adapter; found out anew for any other."""
        if self.seen is None:
            return find()
        key = id(self.adapter), what
        if key not in self.seen.facts:
            self.seen.facts[key] = self.adapter, find()  # the adapter too: its id is for as long as it lives
        return self.seen.facts[key][1]

    def sample_of(self, arguments: Mapping[str, Any]) -> Any:
        """The argument that holds the noisy latent; where no name shows it, the first tensor."""
        if self.adapter.undescribed and self.adapter.sample not in arguments:
            return next(value for value in arguments.values() if isinstance(value, torch.Tensor))
        return arguments[self.adapter.sample]


@dataclass(frozen=True, eq=False)
class SideNetwork(Component):
    """A network beside a denoiser, such as a ControlNet."""

    adapter: SideAdapter

    @cached_property
    def not_conditioning(self) -> frozenset[str]:
        """The arguments that are another at every step."""
        return frozenset({self.adapter.sample, self.adapter.timestep})
