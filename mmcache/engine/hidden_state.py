"""What a model keeps from call to call: in its modules, or in what their methods see around them.

Objects are told by identity, tensors also by how often they were written, containers by what they hold.
"""

import random
import types
from collections import deque
from collections.abc import Hashable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

CONTAINERS = (list, dict, set, deque)
MOST = 1000  # entries of a container that are looked at


def state_of(model: nn.Module) -> Hashable:
    """A mark of everything that a call of the model may have changed."""
    modules = list(model.modules())
    of_modules = [
        (id(module), name, mark(value))
        for module in modules
        for name, value in (*vars(module).items(), *module._buffers.items())
    ]
    kinds = {type(module): None for module in modules if not type(module).__module__.startswith("torch.")}
    of_functions = [(name, mark(value)) for kind in kinds for name, value in seen_by(kind)]
    return tuple(of_modules), tuple(of_functions)


def mark(value: Any, depth: int = 2) -> Hashable:
    """What tells a value from another one, or from what it was before."""
    if isinstance(value, bool | int | float | complex | str | bytes):
        return value
    if isinstance(value, torch.Tensor):
        return id(value), None if value.is_inference() else value._version
    if isinstance(value, dict) and depth:
        entries = [entry for pair in islice(value.items(), MOST) for entry in pair]
        return id(value), len(value), tuple(mark(one, depth - 1) for one in entries)
    if isinstance(value, CONTAINERS) and depth:
        return id(value), len(value), tuple(mark(one, depth - 1) for one in islice(value, MOST))
    if isinstance(value, types.GeneratorType):
        return id(value), value.gi_frame is not None and value.gi_frame.f_lasti, id(value.gi_frame)
    return id(value)


def seen_by(kind: type) -> Iterator[tuple[str, Any]]:
    """The closures and globals that the methods of a class name, and its own attributes."""
    for cls in kind.__mro__:
        if cls.__module__.startswith(("torch.", "builtins")):
            continue
        for name, member in vars(cls).items():
            function = getattr(member, "__func__", member)
            if not isinstance(function, types.FunctionType):
                if not name.startswith("__"):
                    yield name, member
                continue
            for cell, where in zip(function.__closure__ or (), function.__code__.co_freevars, strict=False):
                try:
                    yield where, cell.cell_contents
                except ValueError:  # not filled yet
                    continue
            for where in function.__code__.co_names:
                if isinstance(
                    found := function.__globals__.get(where), (*CONTAINERS, int, float, types.GeneratorType)
                ):
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
