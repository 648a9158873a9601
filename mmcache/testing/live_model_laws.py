"""The laws of the live model: who looks at it during a run, or shares it, sees the plain model."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import is_
from typing import Any

from torch import nn

from mmcache.api.accelerate import accelerate
from mmcache.api.resolved_pipeline import find_side_networks
from mmcache.patching.cloned_pipeline import clone_pipeline
from mmcache.patching.pipeline_kinds import is_modular
from mmcache.plans.plan import Plan
from mmcache.testing.probes import (
    LawBroken,
    anatomy_of_module,
    denoisers_of,
    differences,
    must_equal,
    require,
)

SWITCH_INTERVAL = 1e-5  # seconds: threads take turns as often as they can


def check_untouched(pipe: Any, sample: Callable[[Any], Any], plan: Plan) -> None:
    """Law 9: during a call, seen from inside it and from another thread, the tables are the plain ones."""
    parts = {**denoisers_of(pipe), **find_side_networks(pipe)}
    models = {name: part.model for name, part in parts.items()}
    with watched(models) as (seen, look):
        keys = {name: list(model.state_dict()) for name, model in models.items()}
        session = accelerate(pipe, plan)
        with looking(look):
            sample(pipe)
        require(bool(seen), "law 9: nobody looked during a call")
        for name, changed, found_keys in seen:
            require(not changed, f"law 9: {name}: changed during a call: {changed[:3]}")
            require(found_keys == keys[name], f"law 9: {name}: state_dict keys changed during a call")
        session.restore()


def check_shared(
    make_pipe: Callable[[], Any], sample: Callable[[Any], Any], plans: Sequence[Plan | None], rounds: int = 2
) -> None:
    """Law 10: pipelines that share their models, in a thread each, give what each gives alone.

    Args:
        make_pipe: builds the pipeline; each one has the same weights.
        sample: runs it with a fixed seed; returns its result.
        plans: that of each thread's pipeline; None for a plain one.
        rounds: how often each of them samples.
    """
    wanted = [sample(shared(make_pipe(), plan)) for plan in plans]
    base = make_pipe()
    pipes = [shared(base, plan) for plan in plans]
    results = in_threads([partial(several, sample, pipe, rounds) for pipe in pipes])
    for number, result in enumerate(results):
        for again in result:
            must_equal(f"law 10: thread {number} ({plans[number]}) and alone", again, wanted[number])


def several(sample: Callable[[Any], Any], pipe: Any, rounds: int) -> list[Any]:
    """The results of some runs, one after another."""
    return [sample(pipe) for _ in range(rounds)]


def sharing_models(pipe: Any) -> Any:
    """Another pipeline of the class with the same models and schedulers, as a pipeline's owner makes one."""
    if is_modular(pipe):
        other = type(pipe)(blocks=pipe.blocks)
        settings = {name: value for name, value in pipe.config.items() if name in pipe._config_specs}
        other.update_components(**pipe.components, **settings)
        return other
    other = type(pipe).from_pipe(pipe)
    other.set_progress_bar_config(**getattr(pipe, "_progress_bar_config", {}))
    return other


def shared(pipe: Any, plan: Plan | None) -> Any:
    """A pipeline of the same models, accelerated by a plan, or plain."""
    other = clone_pipeline(pipe)
    if plan is not None:
        accelerate(other, plan)
    return other


def in_threads(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """What several functions return that run at once, a thread each; the first error is raised."""
    start, results = threading.Barrier(len(works)), [None] * len(works)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        start.wait()
        try:
            results[number] = works[number]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    if errors:
        raise errors[0]
    return results


def tables(model: nn.Module) -> dict[str, Any]:
    """Every entry of every table of a model's modules, but for the one patch of its `forward`."""
    found: dict[str, Any] = {}
    for name, module in model.named_modules():
        found |= anatomy_of_module(name, module)
    found.pop(".forward", None)  # the model's own name is ""
    return found


class PlainTables:
    """What a model's tables have now, to see often whether they still do."""

    def __init__(self, model: nn.Module) -> None:
        self._model, self._entries = model, tables(model)
        self._kinds = [(module, type(module)) for module in model.modules()]
        self._weights = [(weight, weight._version) for weight in model.parameters()]
        own = [vars(module) for module in model.modules() if module is not model]
        below = [table for module in model.modules() for table in vars(module).values()]
        kept = [*own, *(table for table in below if isinstance(table, dict))]
        self._tables = [(table, list(table), list(table.values())) for table in kept]
        self._of_model = self._without_patch()

    def changed(self) -> list[str]:
        """The entries that are others now, or were while this looked."""
        if self._same():
            return []
        return differences(self._entries, tables(self._model)) or ["an entry, and back again"]

    def _same(self) -> bool:
        """Whether every entry is the same object: seen faster than which one is not."""
        if any(type(module) is not kind for module, kind in self._kinds):
            return False
        if any(weight._version != version for weight, version in self._weights):
            return False
        now = self._without_patch()
        found = ((list(table), list(table.values())) for table, _, _ in self._tables)
        compared = zip(found, self._tables, strict=True)
        return same_entries(now, self._of_model) and all(
            same_entries(entries, (keys, values)) for entries, (_, keys, values) in compared
        )

    def _without_patch(self) -> tuple[list[str], list[Any]]:
        own = {name: value for name, value in vars(self._model).items() if name != "forward"}
        return list(own), list(own.values())


def same_entries(one: tuple[list[Any], list[Any]], other: tuple[list[Any], list[Any]]) -> bool:
    """Whether two tables, as keys and values, have the same objects, in any order."""
    if one[0] == other[0]:
        return all(map(is_, one[1], other[1]))
    first, second = (dict(zip(keys, map(id, values), strict=True)) for keys, values in (one, other))
    return first == second


Seen = list[tuple[str, list[str], list[str]]]


@contextmanager
def watched(models: dict[str, nn.Module]) -> Iterator[tuple[Seen, Callable[[], None]]]:
    """Looks at the models from within their calls: what has changed, and a function that looks now."""
    seen: Seen = []
    plain: dict[str, PlainTables] = {}

    def look(name: str) -> None:
        seen.append((name, plain[name].changed(), list(models[name].state_dict())))

    def look_within(name: str, *_: Any) -> None:
        look(name)

    def look_at_all() -> None:
        for name in models:
            look(name)

    handles = []
    for name, model in models.items():
        first = next((module for module in model.modules() if not list(module.children())), None)
        if first is None:
            raise LawBroken(f"law 9: {name} has no layers")
        handles.append(first.register_forward_hook(partial(look_within, name)))
    plain |= {name: PlainTables(model) for name, model in models.items()}
    try:
        yield seen, look_at_all
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def looking(look: Callable[[], None]) -> Iterator[None]:
    """Another thread that looks all the time."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(0.002):
            look()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
