"""A run of many prompts: looks at the file and the folder, drives the workers, sums up."""

import os
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmcache.tools.generating.drive import Driver
from mmcache.tools.generating.items import ItemMaker, digest
from mmcache.tools.generating.ledger import Ledger
from mmcache.tools.generating.lines import LineSchema
from mmcache.tools.generating.loading_turn import forget_turns
from mmcache.tools.generating.outcomes import Job, Pool
from mmcache.tools.generating.progress import Listener
from mmcache.tools.generating.result import ManyResult
from mmcache.tools.generating.run_settings import FILE, check_settings, claim_folder, release_folder
from mmcache.tools.generating.stop_signals import Stop, Stopped, stop_signals
from mmcache.tools.generating.store import Store, as_json
from mmcache.tools.generating.survey import ALL, Shard, open_items, survey
from mmcache.tools.generating.totals import Totals
from mmcache.tools.generating.work_source import WorkSource
from mmcache.tools.media.output_folder import check_output

SUMMARY, ERRORS = "summary", "errors"


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
    if not new:
        store.clean()  # what a killed driver's workers left
    if result.nothing_to_do:
        if not summary.exists():  # the driver was killed before it wrote it, or the shard has no line
            run.out.mkdir(parents=True, exist_ok=True)
            write_summary(store, run, result, 0)
        listener("end", **result.as_dict())
        return result
    run.out.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(store, run.out / run.shard.file(ERRORS, ".jsonl"), listener)
    with ExitStack() as end:
        if claim_folder(run.out, run.settings, overwrite=run.overwrite):
            end.callback(release_folder, run.out)
        ledger.errors.unlink(missing_ok=True)  # what failed is tried again
        workers = engine()
        left = surveyed.total - were_there
        workers = replace(workers, count=min(workers.count, left))  # one more would load a pipe for nothing
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
