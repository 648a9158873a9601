"""What a model keeps from call to call: in its modules, or in what their methods see around them.

Objects are told by identity, tensors also by how often they were written, generators of random numbers by
their state, containers and objects of nobody's library by what they hold, functions by what they see.
"""

import itertools
import operator
import random
import sys
import threading
import types
from collections import deque
from collections.abc import Hashable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

from mmcache.engine.leaves import closure_of, slot_names

PLAIN = (bool, int, float, complex, str, bytes)
CONTAINERS = (list, dict, set, deque)
MOST = 1000  # entries of a container that are looked at
DEPTH = 6  # how deep containers, objects and functions in one another are looked into
LARGEST = 1 << 20  # bytes of an array that are looked at
# What belongs to these is code, and what it keeps it keeps for itself.
LIBRARIES = {
    *sys.stdlib_module_names,
    *("torch", "numpy", "diffusers", "transformers", "accelerate", "peft", "mmcache", "huggingface_hub"),
}
OPEN = (types.SimpleNamespace, threading.local)  # of Python itself, but with attributes of their owner's


def state_of(model: nn.Module) -> Hashable:
    """A mark of everything that a call of the model may have changed."""
    modules = list(model.modules())
    marks = Marks()
    of_modules = [
        (id(module), name, marks.of(value))
        for module in modules
        for name, value in (*vars(module).items(), *module._buffers.items())
    ]
    kinds = {type(module): None for module in modules if not is_of_library(type(module), ("torch",))}
    of_functions = [(name, marks.of(value)) for kind in kinds for name, value in seen_by(kind)]
    return tuple(of_modules), tuple(of_functions)


def is_of_library(thing: Any, libraries: Any = LIBRARIES) -> bool:
    """Whether a class, function or module comes from one of these libraries."""
    home = getattr(thing, "__module__", None) or getattr(thing, "__name__", "")
    return str(home).partition(".")[0] in libraries


class Marks:
    """Tells values from other ones, and from what they were before; looks at each object once."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}  # held, so that their ids stay theirs

    def of(self, value: Any, depth: int = DEPTH) -> Hashable:
        if isinstance(value, PLAIN):
            return value
        if isinstance(value, torch.Tensor):
            return id(value), None if value.is_inference() else value._version
        if depth == 0 or id(value) in self._seen:
            return id(value)
        self._seen[id(value)] = value
        return id(value), of_generator(value), tuple(self.of(one, depth - 1) for one in entries_of(value))


def of_generator(value: Any) -> Hashable:
    """How far what gives one value after another has come; None for anything else."""
    if isinstance(value, types.GeneratorType):
        return value.gi_frame is not None and value.gi_frame.f_lasti, id(value.gi_frame)
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, np.random.Generator | np.random.RandomState):
        bits = value.bit_generator if isinstance(value, np.random.Generator) else value._bit_generator
        return repr(bits.state)
    if isinstance(value, torch.Generator):
        return bytes(value.get_state().numpy())
    if isinstance(value, itertools.count):
        return repr(value)
    if isinstance(value, np.ndarray):
        return value.tobytes() if value.nbytes <= LARGEST else None
    return operator.length_hint(value) if isinstance(value, Iterator) else None


def entries_of(value: Any) -> Iterator[Any]:
    """What is in a container, or what an object or a function of nobody's library has and sees."""
    if isinstance(value, dict):
        for pair in islice(value.items(), MOST):
            yield from pair
    elif isinstance(value, (*CONTAINERS, tuple)):
        yield len(value)
        yield from islice(value, MOST)
    elif isinstance(value, types.MethodType):
        yield from (value.__self__, value.__func__)
    elif isinstance(value, types.FunctionType):
        if not is_of_library(value):
            yield from (one for _, one in seen_by_function(value))
    elif not isinstance(value, type) and (isinstance(value, OPEN) or not is_of_library(type(value))):
        kind: Any = type(value)
        for pair in getattr(value, "__dict__", {}).items():
            yield from pair
        yield from (getattr(value, name, None) for name in slot_names(kind))


def seen_by(kind: type) -> Iterator[tuple[str, Any]]:
    """What the methods of a class see, and its own attributes."""
    for cls in kind.__mro__:
        if cls.__module__.startswith(("torch.", "builtins")):
            continue
        for name, member in vars(cls).items():
            function = getattr(member, "__func__", member)
            if isinstance(function, types.FunctionType):
                yield from seen_by_function(function)
            elif not name.startswith("__"):
                yield name, member


def seen_by_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """A function's own attributes and defaults, and the closures and globals that it names."""
    yield "", function.__dict__
    yield "", function.__defaults__
    yield "", function.__kwdefaults__
    yield from (("", value) for value in closure_of(function))
    names = function.__code__.co_names
    for where in names:
        found = function.__globals__.get(where)
        if isinstance(found, types.ModuleType) and not is_of_library(found):
            yield from ((name, vars(found)[name]) for name in names if name in vars(found))
        elif found is not None and not isinstance(found, type | types.ModuleType):
            yield where, found


def random_states() -> list[Any]:
    """The state of every generator of random numbers that a model may use without being given it."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    numbers: Any = np.random.get_state()
    return [
        torch.random.get_rng_state(),
        *(torch.cuda.get_rng_state(device) for device in devices),
        random.getstate(),
        (numbers[0], numbers[1].tobytes(), *numbers[2:]),
    ]


def same_states(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(one, other, strict=True)
    )
