"""At how many images a second the driver of many prompts stops scaling, with workers that need no time."""

import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from mmcache.tools.generating.drive import WINDOW, Callbacks, Driver, Pace
from mmcache.tools.generating.items import Item, ItemMaker, digest
from mmcache.tools.generating.lines import LineSchema
from mmcache.tools.generating.outcomes import Pool, Ready
from mmcache.tools.generating.process_pool import ProcessPool
from mmcache.tools.generating.prompts_file import RawLine
from mmcache.tools.generating.stop_signals import Stop
from mmcache.tools.generating.store import Store
from mmcache.tools.generating.work_source import WorkSource
from mmcache_demos.benchmarks.fake_workers import SimulatedPool, SleepingJob

console = Console(highlight=False)


class Rate(NamedTuple):
    """How fast a driver was.

    Attributes:
        images: a second.
        seconds: of the CPU per image, in all threads of the driver's process.
    """

    images: float
    seconds: float


def show_saturation(
    items: Annotated[int, typer.Option(min=1, help="Number of images, of each row.")] = 20_000,
    ray_workers: Annotated[int, typer.Option(min=0, help="Actors of Ray; 0 leaves Ray out.")] = 0,
    slots: Annotated[str, typer.Option(help="Numbers of workers to simulate.")] = "1,10,100,1000",
) -> None:
    """How many images a second the driver hands out when workers are never the ones to wait for.

    Simulated workers take no time of the machine, so what passes is the driver's. Processes and actors of
    this machine return at once: their rows hold the cost of messages too. Ray's actors stand in for more: the
    driver has the messages of so many workers, and each actor does the work of several.
    """
    table = Table("workers", "batches per message", "images a second", "driver's CPU ms per image")
    numbers = [int(word) for word in slots.split(",")]
    for name, workers, make in pools(numbers, ray_workers):
        for size in (1, 8):
            rate = driven_rate(make, workers, items, size)
            row = (f"{workers:,} {name}", str(size), f"{rate.images:,.0f}", f"{rate.seconds * 1000:.3f}")
            table.add_row(*row)
    console.print(table)


def pools(numbers: Sequence[int], ray_workers: int) -> Iterator[tuple[str, int, Callable[[], Pool]]]:
    """Pools whose workers return at once: their kind, the number of workers, and what makes them."""
    for number in numbers:
        yield "simulated", number, lambda: SimulatedPool(1.0)
    job = SleepingJob(0.0)
    yield "processes", 2, lambda: ProcessPool(job)
    if ray_workers:
        from mmcache.tools.generating.ray_pool import connect

        connect("local", ray_workers, None, 1)
        for number in sorted({ray_workers, *(number for number in numbers if number > ray_workers)}):
            yield f"over {ray_workers} actors of Ray", number, lambda: few_actors(job, ray_workers)


def few_actors(job: SleepingJob, actors: int) -> Pool:
    """A pool of Ray whose workers share a few actors."""
    from mmcache.tools.generating.ray_pool import Call, RayPool

    class FewActors(RayPool):
        def start(self, slot: int) -> None:
            if slot < actors:
                super().start(slot)
                return
            self._actors[slot] = actor = self._actors[slot % actors]
            self._calls[slot] = deque([Call(actor.open.remote(), lambda slot, process: Ready(slot))])

    return FewActors(job, None, 0, own=False)


def driven_rate(make: Callable[[], Pool], workers: int, items: int, size: int) -> Rate:
    """The rate at which a driver hands out images, once all workers are ready, in messages of one size."""
    ready = counted = 0
    began: list[float] = []

    def hear(event: str, **about: Any) -> None:
        nonlocal ready
        ready += event == "ready"
        if ready == workers and not began:
            began.extend((time.perf_counter(), time.process_time()))

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
        driver = Driver(source.batches(), make(), workers, callbacks, Stop(), pace)
        driver.run()
    if not counted:
        raise typer.BadParameter("too few images: the last worker was ready when they were done")
    return Rate(counted / (time.perf_counter() - began[0]), (time.process_time() - began[1]) / counted)
