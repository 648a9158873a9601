"""python -m mmcache_demos.benchmarks.many_prompts: how runs of many prompts scale.

    ... many_prompts workers      images a second with one and two workers of a thread each, and the ratio
    ... many_prompts driver       the driver's own milliseconds per image, beside a plain loop in one process
    ... many_prompts memory       the driver's memory for 1,000, 100,000 and 1,000,000 lines
    ... many_prompts saturation   how many images a second the driver can hand out to 1,000 workers that sleep

`workers` wants an idle machine with two cores; the others need no model.
"""

import heapq
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mmcache.tools.generating.drive import WINDOW, Callbacks, Driver, Pace
from mmcache.tools.generating.items import Item, ItemMaker, digest
from mmcache.tools.generating.lines import LineSchema
from mmcache.tools.generating.local_pool import LocalPool
from mmcache.tools.generating.outcomes import Batch, Event, Finished, Generate, Outcome, Pool, Ready
from mmcache.tools.generating.process_pool import ProcessPool
from mmcache.tools.generating.progress import silent
from mmcache.tools.generating.prompts_file import RawLine
from mmcache.tools.generating.result import ManyResult
from mmcache.tools.generating.run import ManyRun, Workers, run_many
from mmcache.tools.generating.stop_signals import Stop
from mmcache.tools.generating.store import Store
from mmcache.tools.generating.work_source import WorkSource

app = typer.Typer(help=__doc__, no_args_is_help=True)
console = Console(highlight=False)
REPORT = {"full_steps": 17, "cached_steps": 33, "macs": 1, "full_macs": 2, "seconds": 0.0, "bytes_held": 1}
IMAGE = b"0" * 10_000


@dataclass(frozen=True)
class SleepingJob:
    """A worker without a model: it sleeps for each image, and writes ten kilobytes if it has a folder."""

    seconds: float
    out: Path | None = None

    def open(self) -> Generate:
        store = None if self.out is None else Store(self.out)

        def generate(batch: Batch) -> list[Outcome]:
            time.sleep(self.seconds * len(batch))
            if store is not None:
                for item in batch:
                    store.write(item, IMAGE, ".png", {"report": REPORT})
            return [Outcome(item.name, {"report": REPORT}) for item in batch]

        return generate


class SimulatedPool:
    """Workers of simulated time: the driver's own time is all that passes.

    Args:
        seconds: that an image takes.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._now = 0.0
        self._free: dict[int, float] = {}
        self._heap: list[tuple[float, int, int, list[Outcome]]] = []
        self._sent = 0  # messages; it orders those that end at the same moment
        self._new: list[Event] = []

    def start(self, slot: int) -> None:
        self._free[slot] = 0.0
        self._new.append(Ready(slot))

    def send(self, slot: int, batches: Sequence[Batch]) -> None:
        outcomes = [Outcome(item.name, {"report": REPORT}) for batch in batches for item in batch]
        self._free[slot] = max(self._now, self._free[slot]) + self._seconds * len(outcomes)
        self._sent += 1
        heapq.heappush(self._heap, (self._free[slot], self._sent, slot, outcomes))

    def events(self, timeout: float) -> Sequence[Event]:
        if self._new:
            events, self._new = self._new, []
            return events
        self._now, _, slot, outcomes = heapq.heappop(self._heap)
        return [Finished(slot, outcomes)]

    def close(self, grace: float) -> Sequence[Event]:
        return []


@contextmanager
def prompts_of(count: int) -> Iterator[Path]:
    """A file of so many lines in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="mmcache-many-") as folder:
        path = Path(folder, "prompts.jsonl")
        with path.open("w") as file:
            for number in range(count):
                line = {"prompt": f"a lighthouse, number {number}", "id": f"{number:07d}"}
                file.write(json.dumps(line) + "\n")
        yield path


def run(path: Path, out: Path, pool: Callable[[Any], Pool], job: Any, *, workers: int) -> ManyResult:
    own = workers == 1 and pool is LocalPool
    many = ManyRun(path, out, LineSchema(), {"model": "none"})
    return run_many(many, lambda name: job, lambda: Workers(workers, pool, own_process=own), silent)


@app.command("workers")
def show_workers(
    items: Annotated[int, typer.Option(min=2, help="Number of prompts.")] = 40,
    steps: Annotated[int, typer.Option(min=1, help="Sampling steps.")] = 50,
    model: Annotated[str, typer.Option(help="A folder, or a shipped miniature.")] = "text-to-image",
) -> None:
    """Images a second with one and with two workers, without the time in which they load."""
    table = Table("workers", "images", "images a second")
    rates = []
    with prompts_of(items) as path:
        for workers in (1, 2):
            out = path.parent / str(workers)
            command = [sys.executable, "-m", "mmcache", "generate", "--prompts", str(path), "--out", str(out)]
            command += ["--workers", str(workers), "--threads", "1", "--steps", str(steps), "--model", model]
            rates.append(rate_of([*command, "--json"], workers))
            table.add_row(str(workers), str(items), f"{rates[-1]:.3f}")
    console.print(table)
    console.print(f"{rates[1] / rates[0]:.2f}x with two workers")


def rate_of(command: list[str], workers: int) -> float:
    """Images a second from the moment when all workers are ready."""
    ready, done, began, ended = 0, 0, 0.0, 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)["event"]
            if event == "ready":
                ready += 1
            elif event == "done" and ready == workers:
                if not began:
                    began = time.perf_counter()  # an image after it, so that only whole ones count
                else:
                    done, ended = done + 1, time.perf_counter()
    if not done:
        raise typer.BadParameter("too few images: the last worker was ready when they were done")
    return done / (ended - began)


@app.command("driver")
def show_driver(
    items: Annotated[int, typer.Option(min=1, help="Number of prompts.")] = 2000,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 2,
) -> None:
    """The driver's own time per image: workers only write their files, as `generate` does in one process."""
    table = Table("way", "ms per image")
    with prompts_of(items) as path:
        loop = plain_loop(path, path.parent / "loop")
        table.add_row("a loop that writes the same files", f"{loop * 1000:.2f}")
        for name, pool, count in (
            ("this process", LocalPool, 1),
            (f"{workers} processes", ProcessPool, workers),
        ):
            out = path.parent / name
            began = time.perf_counter()
            run(path, out, pool, SleepingJob(0.0, out), workers=count)
            seconds = (time.perf_counter() - began) / items
            table.add_row(f"driver, {name}", f"{seconds * 1000:.2f}")
    console.print(table)


def plain_loop(path: Path, out: Path) -> float:
    """Seconds per image of a loop that writes images and sidecars, and nothing else."""
    out.mkdir()
    maker = ItemMaker(LineSchema(), 0, "")
    store = Store(out)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    items = [maker.make(RawLine(number, line)) for number, line in enumerate(lines, 1)]
    began = time.perf_counter()
    for item in items:
        store.write(item, IMAGE, ".png", {"report": REPORT})
    return (time.perf_counter() - began) / len(items)


@app.command("memory")
def show_memory(
    lines: Annotated[str, typer.Option(help="Numbers of lines.")] = "1000,100000,1000000",
) -> None:
    """The most resident memory of a driver for files of these lengths, each in a process of its own."""
    table = Table("lines", "most resident memory", "seconds", "lines a second")
    for count in map(int, lines.split(",")):
        command = [sys.executable, "-m", "mmcache_demos.benchmarks.many_prompts", "one-driver", str(count)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        memory, seconds = map(float, told.split())
        table.add_row(f"{count:,}", f"{memory / 2**20:.1f} MiB", f"{seconds:.1f}", f"{count / seconds:,.0f}")
    console.print(table)


@app.command("one-driver", hidden=True)
def one_driver(count: int, workers: int = 8) -> None:
    """Drive simulated workers through a file; prints this process's peak memory in bytes, and seconds."""
    with prompts_of(count) as path:
        began = time.perf_counter()
        result = run(path, path.parent / "out", lambda job: SimulatedPool(0.0), None, workers=workers)
        seconds = time.perf_counter() - began
    assert result.failed == 0
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, seconds)


@app.command("saturation")
def show_saturation(
    items: Annotated[int, typer.Option(min=1, help="Number of images, of each row.")] = 20_000,
    ray_workers: Annotated[int, typer.Option(min=0, help="Actors of Ray; 0 leaves Ray out.")] = 0,
) -> None:
    """How many images a second the driver hands out when workers are never the ones to wait for.

    Simulated workers take no time of the machine, so what passes is the driver's. Processes and actors of
    this machine return at once: their rows hold the cost of messages too.
    """
    table = Table("workers", "batches per message", "images a second", "enough for 1,000 workers of")
    for workers in (1, 10, 100, 1000):
        for size in (1, 8):
            rate = simulated_rate(workers, items, size)
            add_rate(table, f"{workers:,} simulated", size, rate)
    for name, workers, make in real_pools(ray_workers):
        for size in (1, 8):
            rate = driven_rate(make, workers, items // 4, size)
            add_rate(table, f"{workers} {name}", size, rate)
    console.print(table)


def add_rate(table: Table, workers: str, size: int, rate: float) -> None:
    table.add_row(workers, str(size), f"{rate:,.0f}", f"{1000 / rate:.2f} s an image")


def real_pools(ray_workers: int) -> Iterator[tuple[str, int, Callable[[], Pool]]]:
    """Pools of this machine whose workers return at once."""
    job = SleepingJob(0.0)
    yield "processes", 2, lambda: ProcessPool(job)
    if ray_workers:
        from mmcache.tools.generating.ray_pool import RayPool, connect

        connect("local", ray_workers, None, 1)
        yield "actors of Ray", ray_workers, lambda: RayPool(job, None, 0, own=False)


def simulated_rate(workers: int, items: int, size: int) -> float:
    return driven_rate(lambda: SimulatedPool(1.0), workers, items, size)


def driven_rate(make: Callable[[], Pool], workers: int, items: int, size: int) -> float:
    """Images a second that a driver hands out, from when a worker is ready, in messages of one size."""
    began = 0.0
    ready = 0

    def hear(event: str, **about: Any) -> None:
        nonlocal began, ready
        ready += event == "ready"
        if ready and not began:
            began = time.perf_counter()

    counted = 0

    def done(slot: int, item: Item, report: Any) -> None:
        nonlocal counted
        counted += bool(began)
        source.settled(item)

    items = max(items, 4 * WINDOW * workers * size)  # so that the ends of the run count for little
    maker = ItemMaker(LineSchema(), 0, digest("settings"))
    made = (maker.make(RawLine(n, {"prompt": f"number {n}"})) for n in range(1, items + 1))
    with tempfile.TemporaryDirectory(prefix="mmcache-many-") as folder:
        source = WorkSource(made, 1, Store(Path(folder)).sidecar, lambda item, sidecar: None)
        callbacks = Callbacks(lambda item: None, done, lambda failure: None, hear)
        pace = Pace(size=size, fixed=True)
        Driver(source.batches(), make(), workers, callbacks, Stop(), pace).run()
        return counted / (time.perf_counter() - began)


if __name__ == "__main__":
    app()
