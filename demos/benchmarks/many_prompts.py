"""python -m mmcache_demos.benchmarks.many_prompts: how runs of many prompts scale.

    ... many_prompts workers      images a second with one and two workers of a thread each, and the ratio
    ... many_prompts driver       the driver's own milliseconds per image, beside a plain loop in one process
    ... many_prompts memory       the driver's memory for 1,000, 100,000 and 1,000,000 lines
    ... many_prompts saturation   how many images a second the driver can hand out to 1,000 workers that sleep

`workers` wants an idle machine with two cores; the others need no model.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mmcache.tools.generating.items import ItemMaker
from mmcache.tools.generating.lines import LineSchema
from mmcache.tools.generating.local_pool import LocalPool
from mmcache.tools.generating.outcomes import Pool
from mmcache.tools.generating.process_pool import ProcessPool
from mmcache.tools.generating.progress import silent
from mmcache.tools.generating.prompts_file import RawLine
from mmcache.tools.generating.result import ManyResult
from mmcache.tools.generating.run import ManyRun, Workers, run_many
from mmcache.tools.generating.store import Store
from mmcache_demos.benchmarks.fake_workers import IMAGE, REPORT, SimulatedPool, SleepingJob
from mmcache_demos.benchmarks.saturation import show_saturation

app = typer.Typer(help=__doc__, no_args_is_help=True)
console = Console(highlight=False)


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


app.command("saturation")(show_saturation)


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


if __name__ == "__main__":
    app()
