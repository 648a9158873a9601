"""A verification uses up nothing that a model keeps: it is looked for first, wherever it is kept."""

import itertools
import random
import threading
import types

import numpy as np
import pytest
import torch

from mmcache import accelerate, general_adapter, register
from mmcache.architectures import registry
from mmcache.engine.hidden_state import random_states, same_states, state_of
from tests import tiny
from tests.test_transformers import Unknown, built, run_loop


class Counter:
    """An object of the author's own."""

    def __init__(self):
        self.number = 0

    def advance(self):
        self.number += 1
        return self.number


class SlottedCounter:
    __slots__ = ("number",)
    advance = Counter.advance

    def __init__(self):
        self.number = 0


def counted(counter):
    counter.number += 1
    return counter.number


def closure():
    number = [0]

    def advance():
        number[0] += 1
        return number[0]

    return advance


def with_default(kept=[0]):  # noqa: B006  # what is meant here
    kept[0] += 1
    return kept[0]


def with_attribute():
    with_attribute.number = getattr(with_attribute, "number", 0) + 1
    return with_attribute.number


GLOBAL = Counter()
MODULE = types.ModuleType("authors_module")
MODULE.number = 0
OF_THREAD = threading.local()


def by_global():
    return GLOBAL.advance()


def by_module():
    MODULE.number += 1
    return MODULE.number


def by_thread():
    OF_THREAD.number = getattr(OF_THREAD, "number", 0) + 1
    return OF_THREAD.number


def added(array):
    array[0] += 1
    return float(array[0])


def nested(tree):
    tree["a"]["b"]["c"][0] += 1
    return tree["a"]["b"]["c"][0]


# How each is made, and what gives the next number from it.
KEPT = {
    "object": (Counter, lambda kept: kept.advance()),
    "slots": (SlottedCounter, lambda kept: kept.advance()),
    "namespace": (lambda: types.SimpleNamespace(number=0), counted),
    "array": (lambda: np.zeros(1), added),
    "nested": (lambda: {"a": {"b": {"c": [0]}}}, nested),
    "count": (itertools.count, next),
    "iterator": (lambda: iter(range(100)), next),
    "random": (lambda: random.Random(0), lambda kept: kept.random()),
    "numpy generator": (lambda: np.random.default_rng(0), lambda kept: kept.random()),
    "torch generator": (torch.Generator, lambda kept: torch.rand((), generator=kept).item()),
    "closure": (closure, lambda kept: kept()),
    "method": (lambda: Counter().advance, lambda kept: kept()),
    "default": (lambda: with_default, lambda kept: kept()),
    "attribute of a function": (lambda: with_attribute, lambda kept: kept()),
    "global": (lambda: by_global, lambda kept: kept()),
    "module": (lambda: by_module, lambda kept: kept()),
    "thread": (lambda: by_thread, lambda kept: kept()),
}


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """What models of these tests keep outside of themselves, and what they are known as."""
    monkeypatch.setattr(registry, "_registered", registry._registered)
    with_default.__defaults__[0][0] = with_attribute.number = GLOBAL.number = MODULE.number = 0
    OF_THREAD.number = 0


class Keeping(Unknown):
    """It has something, and may use it in each call."""

    kept, advance = None, None

    def forward(self, x, timestep):
        more = 0.0 if self.advance is None else 0.01 * self.advance(self.kept)
        return ((1 + more) * super().forward(x, timestep)[0],)


def keeping(name, *, uses):
    model, scheduler = built(Keeping)
    make, advance = KEPT[name]
    model.kept, model.advance = make(), advance if uses else None
    return model, scheduler


@pytest.mark.parametrize("name", KEPT)
def test_a_model_that_keeps_something_runs_as_if_nobody_had_looked(name):
    wanted = run_loop(*keeping(name, uses=True))
    as_before = with_default.__defaults__[0], with_attribute, GLOBAL, MODULE, OF_THREAD
    as_before[0][0] = 0
    for kept in as_before[1:]:
        kept.number = 0
    model, scheduler = keeping(name, uses=True)
    register(general_adapter(model))
    session = accelerate(model, interval=3, scheduler=scheduler)
    with pytest.warns(UserWarning, match="keeps something from call to call"):
        found = run_loop(model, scheduler)
    assert torch.equal(found, wanted)
    assert tiny.steps_of(session) == "F" * 12


@pytest.mark.parametrize("name", KEPT)
def test_a_model_that_does_not_touch_what_it_has_is_cached(name):
    model, scheduler = keeping(name, uses=False)
    register(general_adapter(model))
    session = accelerate(model, interval=3, scheduler=scheduler)
    run_loop(model, scheduler)
    assert tiny.steps_of(session) == "F00" * 4


def test_looking_changes_nothing():
    model, _ = keeping("torch generator", uses=False)
    states = random_states()
    assert state_of(model) == state_of(model)
    assert same_states(states, random_states())


def test_what_refers_to_itself_ends():
    model, _ = built(Keeping)
    model.kept = Counter()
    model.kept.owner, model.kept.model = model.kept, model
    assert state_of(model) == state_of(model)
