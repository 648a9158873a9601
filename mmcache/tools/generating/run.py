"""A run of many prompts: looks at the file and the folder, drives the workers, sums up."""

import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmcache.tools.generating.drive import Callbacks, Driver, Failure
from mmcache.tools.generating.items import Item, ItemMaker, digest
from mmcache.tools.generating.lines import LineSchema
from mmcache.tools.generating.loading_turn import forget_turns
from mmcache.tools.generating.outcomes import Job, Pool
from mmcache.tools.generating.progress import Listener
from mmcache.tools.generating.run_settings import FILE, check_settings, claim_folder
from mmcache.tools.generating.stop_signals import Stop, Stopped, stop_signals
from mmcache.tools.generating.store import Store, as_json
from mmcache.tools.generating.survey import ALL, Shard, open_items, survey
from mmcache.tools.generating.totals import Totals
from mmcache.tools.generating.work_source import WorkSource
from mmcache.tools.media.output_folder import check_output

SUMMARY, ERRORS = "summary", "errors"
MOST_PROMPT = 500  # characters in errors.jsonl


@dataclass(frozen=True)
class ManyRun:
    """What is to be done, whoever does it.

    Attributes:
        prompts: the file.
        out: the folder.
        schema: of the file's lines.
        settings: what all images have in common, for settings.json.
        seed: of the first line.
        batch: lines of equal shape in one call of the pipeline, at most.
        shard: the part of the file.
        overwrite: whether images of other lines or settings are replaced.
        describe_plan: from a line's plan to what it says.
    """

    prompts: Path
    out: Path
    schema: LineSchema
    settings: Mapping[str, Any]
    seed: int = 0
    batch: int = 1
    shard: Shard = ALL
    overwrite: bool = False
    describe_plan: Callable[[str], Any] = str

    @property
    def maker(self) -> ItemMaker:
        return ItemMaker(self.schema, self.seed, digest(self.settings), self.describe_plan)


@dataclass(frozen=True)
class Workers:
    """Who does it.

    Attributes:
        count: of workers.
        pool: makes them, for a job.
        own_process: whether the work is done in this very process.
    """

    count: int
    pool: Callable[[Job], Pool]
    own_process: bool


@dataclass(frozen=True)
class ManyResult:
    """What became of a run.

    Attributes:
        total: images of the file, or of the shard.
        were_there: those that were done before.
        done: those that are there now.
        failed: those that were given up; they stand in the errors file with their reasons.
        left: those that nobody tried, since the run was stopped or no worker was left.
        seconds: of the run.
        signal: that stopped it; 0 for none.
        out: the folder.
        errors: the errors file; None if nothing failed.
        reports: the sums of all images' reports.
    """

    total: int
    were_there: int
    done: int
    failed: int
    left: int
    seconds: float
    signal: int
    out: Path
    errors: Path | None
    reports: Mapping[str, Any]

    @property
    def nothing_to_do(self) -> bool:
        return self.were_there == self.total

    @property
    def exit_code(self) -> int:
        """0 if everything is there; 1 if something failed or is left; 128 and the signal that stopped it."""
        if self.signal:
            return 128 + self.signal
        return 1 if self.failed or self.left else 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        made = self.done - self.were_there
        rate = made / self.seconds if made and self.seconds else None
        names = ("total", "were_there", "done", "failed", "left", "seconds")
        return {
            **{name: getattr(self, name) for name in names},
            "items_per_second": rate,
            "complete": self.done == self.total,
            "reports": dict(self.reports),
        }

    def __str__(self) -> str:
        if self.nothing_to_do:
            return f"nothing to do: all {self.total} images are in {self.out}"
        lines = [
            f"{self.done} of {self.total} images are in {self.out} ({self.were_there} were there before), "
            f"{self.seconds:.1f} s"
        ]
        if fewer := self.reports.get("fewer_macs"):
            steps = "{full_steps} full and {cached_steps} cached steps".format(**self.reports)
            lines.append(f"{steps}, {fewer:.2f}x fewer multiply-adds than without a cache")
        if self.failed:
            lines.append(
                f"{self.failed} failed: {self.errors} has their reasons; the same command tries again"
            )
        if self.left:
            lines.append(f"{self.left} are left: the same command goes on from here")
        return "\n".join(lines)


class Ledger:
    """Counts what becomes of items, and writes the errors file.

    Args:
        run: what is to be done.
        store: of its folder.
        listener: hears of it.
    """

    def __init__(self, run: ManyRun, store: Store, listener: Listener) -> None:
        self.totals = Totals()  # of all that the run came by
        self.made = Totals()  # of those that it made
        self.failed = 0
        self.errors = run.out / run.shard.file(ERRORS, ".jsonl")
        self._store = store
        self._listener = listener
        self.source: WorkSource | None = None

    def found(self, item: Item, sidecar: Mapping[str, Any]) -> None:
        """An item was done before."""
        self.totals.add(sidecar)

    def done(self, slot: int, item: Item, sidecar: Mapping[str, Any]) -> None:
        self.totals.add(sidecar)
        self.made.add(sidecar)
        self._settled(item)
        seconds = (sidecar.get("report") or {}).get("seconds")
        self._listener(
            "done", worker=slot, id=item.name, line=item.number, file=sidecar.get("file"), seconds=seconds
        )

    def fail(self, failure: Failure) -> None:
        item = failure.item
        entry = {
            "line": item.number,
            "id": item.name,
            "prompt": item.prompt[:MOST_PROMPT],
            "seed": item.seed,
            "reason": failure.reason,
            "tries": failure.tries,
        }
        self.failed += 1
        self._settled(item)
        # In one write at the end of the file, so that two drivers do not mix their lines.
        with self.errors.open("ab", buffering=0) as file:
            file.write((json.dumps(entry, ensure_ascii=False) + "\n").encode())
        self._listener("failed", **entry)

    def _settled(self, item: Item) -> None:
        if self.source is not None:
            self.source.settled(item)

    def callbacks(self) -> Callbacks:
        return Callbacks(self._store.sidecar, self.done, self.fail, self._listener)


def run_many(
    run: ManyRun, job: Callable[[str], Job], engine: Callable[[], Workers], listener: Listener
) -> ManyResult:
    """Generate everything that is not there.

    Args:
        run: what.
        job: makes the workers' job, for the name of this run.
        engine: makes those who do it, once it is known that there is something to do.
        listener: hears of what happens.

    Raises:
        PromptsFileError: the file or a line cannot be used.
        OtherSettingsError: the folder has images of other settings.
        ValueError, OSError: the folder cannot be used, or the pipeline cannot be loaded.
    """
    check_output(run.out, (FILE, run.shard.file(SUMMARY, ".json"), run.shard.file(ERRORS, ".jsonl")))
    check_settings(run.out, run.settings, overwrite=run.overwrite)
    store = Store(run.out)
    started = time.perf_counter()
    new = not (run.out / FILE).exists()
    surveyed = survey(run.prompts, run.maker, store, run.shard, new=new, overwrite=run.overwrite)
    were_there = surveyed.done.done
    result = ManyResult(
        surveyed.total, were_there, were_there, 0, 0, 0.0, 0, run.out, None, surveyed.done.as_dict()
    )
    summary = run.out / run.shard.file(SUMMARY, ".json")
    if result.nothing_to_do:
        if not summary.exists():  # the driver was killed before it wrote it
            write_summary(store, run, result, 0)
        listener("end", **result.as_dict())
        return result
    run.out.mkdir(parents=True, exist_ok=True)
    claim_folder(run.out, run.settings, overwrite=run.overwrite)
    store.clean()
    ledger = Ledger(run, store, listener)
    ledger.errors.unlink(missing_ok=True)  # what failed is tried again
    workers = engine()
    listener("start", total=surveyed.total, done=were_there, workers=workers.count)
    stop = drive(run, job, workers, ledger, store)
    if stop.asked:  # there is no time to go through the file
        totals = surveyed.done.plus(ledger.made)
    elif ledger.totals.done + ledger.failed < surveyed.total:  # equal lines, or no worker was left
        totals = recounted(run, store)
    else:
        totals = ledger.totals
    result = replace(
        result,
        done=totals.done,
        failed=ledger.failed,
        left=max(0, surveyed.total - totals.done - ledger.failed),
        seconds=time.perf_counter() - started,
        signal=stop.signal,
        errors=ledger.errors if ledger.failed else None,
        reports=totals.as_dict(),
    )
    write_summary(store, run, result, workers.count)
    listener("end", **result.as_dict())
    return result


def drive(run: ManyRun, job: Callable[[str], Job], workers: Workers, ledger: Ledger, store: Store) -> Stop:
    """Let the workers work until all is tried, or somebody asks to stop."""
    name = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
    items = open_items(run.prompts, run.maker, run.shard)
    ledger.source = WorkSource(items, run.batch, store.sidecar, ledger.found)
    with ExitStack() as end:
        end.callback(store.clean)  # what killed workers left
        end.callback(forget_turns, name)
        end.enter_context(suppress(Stopped))  # a signal while the workers were being ended
        stop = end.enter_context(stop_signals(at_once=workers.own_process))
        pool = workers.pool(job(name))
        Driver(ledger.source.batches(), pool, workers.count, ledger.callbacks(), stop).run()
    return stop


def recounted(run: ManyRun, store: Store) -> Totals:
    """What is on the disk, after a run that did not go through the file, or one beside another driver."""
    totals = Totals()
    for item in open_items(run.prompts, run.maker, run.shard):
        if (sidecar := store.sidecar(item)) is not None:
            totals.add(sidecar)
    return totals


def write_summary(store: Store, run: ManyRun, result: ManyResult, workers: int) -> None:
    about = {"workers": workers, "settings": run.settings}
    store.write_file(run.shard.file(SUMMARY, ".json"), as_json(result.as_dict() | about))
