"""Workers without a model, for runs of many prompts: what they write depends on the item alone."""

import hashlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmcache.tools.generating.items import Item
from mmcache.tools.generating.lines import LineSchema
from mmcache.tools.generating.local_pool import LocalPool
from mmcache.tools.generating.outcomes import Batch, Generate, Outcome
from mmcache.tools.generating.process_pool import ProcessPool
from mmcache.tools.generating.result import ManyResult
from mmcache.tools.generating.run import ManyRun, Workers, run_many
from mmcache.tools.generating.store import Store
from mmcache.tools.generating.survey import ALL, Shard

REPORT = {"full_steps": 2, "cached_steps": 3, "macs": 10, "full_macs": 30, "seconds": 0.5, "bytes_held": 7}


def content_of(item: Item) -> bytes:
    return hashlib.sha256(f"{item.prompt} {item.seed}".encode()).digest() * 100


@dataclass(frozen=True)
class FakeJob:
    """Writes a file for each item. Prompts that begin with a word of `ACTS` do what it says.

    Attributes:
        out: the folder of the images.
        log: a file that gets a line for every item begun: its name, and the worker's process.
        seconds: that an item takes.
        dies_in: slots whose workers die of everything, by an environment variable.
        waits_for: how many workers must have died before another one makes anything.
        fails: is raised in the place of loading.
    """

    out: Path
    log: Path
    seconds: float = 0.0
    dies_in: tuple[str, ...] = ()
    waits_for: int = 0
    fails: Exception | None = None

    def open(self) -> Generate:
        if self.fails is not None:
            raise self.fails
        store = Store(self.out)
        bad = os.environ.get("SLOT") in self.dies_in

        def generate(batch: Batch) -> list[Outcome]:
            return [self.one(store, item, bad) for item in batch]

        return generate

    def begun_by(self) -> int:
        """How many workers have begun anything."""
        return len({line.split()[1] for line in self.log.read_text().splitlines()})

    def one(self, store: Store, item: Item, bad: bool) -> Outcome:
        if (sidecar := store.sidecar(item)) is not None:
            return Outcome(item.name, sidecar)
        with self.log.open("ab", buffering=0) as log:
            log.write(f"{item.name} {os.getpid()}\n".encode())
        act = ACTS.get(item.prompt.split()[0])
        if bad:
            os.kill(os.getpid(), signal.SIGKILL)
        if act is not None and (outcome := act(item)) is not None:
            return outcome
        until = time.monotonic() + 30
        while self.begun_by() <= self.waits_for and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(self.seconds)
        about = {"prompt": item.prompt, "seed": item.seed, "report": REPORT}
        return Outcome(item.name, store.write(item, content_of(item), ".png", about))


def die(item: Item) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def break_down(item: Item) -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


ACTS: dict[str, Callable[[Item], Any]] = {
    "die": die,
    "break": break_down,
    "refuse": lambda item: Outcome(item.name, None, "ValueError: no", retry=False),
    "memory": lambda item: Outcome(item.name, None, "RuntimeError: out of memory", retry=True),
    "long": lambda item: time.sleep(60),
}


def with_slot(slot: int) -> dict[str, str]:
    return {"SLOT": str(slot)}


def engine(workers: int | None) -> Callable[[], Workers]:
    """This process, or so many."""
    if workers is None:
        return lambda: Workers(1, LocalPool, own_process=True)
    return lambda: Workers(workers, lambda job: ProcessPool(job, with_slot), own_process=False)


class Events(list[tuple[str, dict[str, Any]]]):
    """A listener that keeps what it hears."""

    def __call__(self, event: str, **about: Any) -> None:
        self.append((event, about))

    def of(self, event: str) -> list[dict[str, Any]]:
        return [about for name, about in self if name == event]


def run_fake(
    prompts: Path,
    out: Path,
    workers: int | None = 1,
    *,
    shard: Shard = ALL,
    settings: dict[str, Any] | None = None,
    overwrite: bool = False,
    batch: int = 1,
    seed: int = 0,
    listener: Any = None,
    **job: Any,
) -> ManyResult:
    """A run whose log stands beside the folder."""
    run = ManyRun(prompts, out, LineSchema(), settings or {"model": "fake"}, seed, batch, shard, overwrite)
    log = out.with_name(out.name + ".log")
    return run_many(
        run,
        lambda name: FakeJob(out, log, **job),
        engine(workers),
        Events() if listener is None else listener,
    )


def images(out: Path) -> dict[str, bytes]:
    """All images of a folder, by name."""
    return {path.name: path.read_bytes() for path in out.glob("*.png")}


def begun(out: Path) -> list[str]:
    """The names of items in the order in which workers began them."""
    return [line.split()[0] for line in out.with_name(out.name + ".log").read_text().splitlines()]
