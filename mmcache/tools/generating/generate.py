"""`mmcache.generate(prompts, out, load=...)`: many prompts, over processes, machines, or in this process."""

import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mmcache.api.plan_choice import PlanLike
from mmcache.errors import shown
from mmcache.tools.generating.engine import Engine, own_threads
from mmcache.tools.generating.lines import LineSchema, arguments_of
from mmcache.tools.generating.model import Model, described_value, model_of
from mmcache.tools.generating.model_check import PlanCheck, described_plan
from mmcache.tools.generating.pipeline_job import PipelineJob
from mmcache.tools.generating.progress import Listener, ProgressLine, silent
from mmcache.tools.generating.prompts_file import PromptsFileError, write_lines
from mmcache.tools.generating.result import ManyResult
from mmcache.tools.generating.run import ManyRun, run_many
from mmcache.tools.generating.survey import ALL, Shard
from mmcache.tools.running.call_settings import OWN, check_count, check_counts, check_values


def generate(
    prompts: str | Path | Iterable[str | Mapping[str, Any]],
    out: str | Path,
    *,
    load: str | Path | Callable[[], Any],
    plan: PlanLike | Mapping[str, PlanLike] | None = None,
    interval: int | None = None,
    branch: int | None = None,
    steps: int = 50,
    seed: int = 0,
    workers: int | None = None,
    shard: str | None = None,
    ray: str | None = None,
    ray_resource: str | None = None,
    batch: int = 1,
    threads: int = 1,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    variant: str | None = None,
    model: str | Path | None = None,
    overwrite: bool = False,
    progress: bool = True,
    listener: Listener | None = None,
    **call: Any,
) -> ManyResult:
    """Generate an image or video for every prompt, exactly once: what is in the folder is not made again.

    The same prompts give the same files however the work is split. With several workers this goes into a
    file that can be imported, below `if __name__ == "__main__":`, as for every use of multiprocessing.

    Args:
        prompts: JSON lines or a text file with a prompt in each line; or prompts, each a text or a dict with
            "prompt" and optionally "id", "seed", "plan" and any argument of the pipeline's call.
        out: folder of the images; each has a sidecar of the same name that tells how it was made.
        load: how a worker makes its pipeline: a folder or an id on the hub, or a function at the top level of
            a module. Its return annotation, if it is a pipeline's class, tells which keys lines may have.
        plan, interval, branch: as `accelerate` takes them.
        steps: of lines that do not say.
        seed: of the first line that has none; each further line has the next one.
        workers: processes on this machine, each with a GPU of its own if there are as many; None works in
            this process. With `ray` the number of actors; None: as many as the cluster has room for.
        shard: "3/16" does the fourth of sixteen parts, for launchers that start many processes.
        ray: the address of a Ray cluster; "auto" finds one or starts one on this machine.
        ray_resource: a resource of the cluster that each actor takes one of, in place of a GPU.
        batch: lines of equal shape in one call of the pipeline, at most. One gives the same bytes everywhere.
        threads: of the CPU per worker. The same number gives the same bytes.
        device, dtype, revision, variant: for a `load` that is no function. A revision is a commit, a tag or
            a branch of the hub; a variant names files of weights, such as "fp16".
        model: for a `load` that is one, the folder or id whose config files the plan is checked against.
        overwrite: replace images of other settings.
        progress: show a line on a terminal.
        listener: called with each event's name and what belongs to it.
        **call: arguments that all calls of the pipeline have in common.

    Raises:
        PromptsFileError, OtherSettingsError, ValueError: a line, the folder or an option cannot be used.
        MissingExtraError: `ray` without Ray installed.
        RayStartError: Ray is installed and does not start.
        KeyboardInterrupt: Ctrl-C, once the workers have ended.
    """
    made = model_of(load, model, device, dtype, revision, variant)
    result = generate_many(
        prompts,
        folder_of(out),
        made,
        plan=plan,
        interval=interval,
        branch=branch,
        steps=steps,
        seed=seed,
        engine=Engine(workers, ray, ray_resource, threads),
        shard=ALL if shard is None else Shard.parse(shard),
        batch=batch,
        overwrite=overwrite,
        listener=listener if listener is not None else ProgressLine() if progress else silent,
        call=call,
    )
    if result.signal:  # the workers have ended; now it does to the caller what it would have done
        signal.raise_signal(result.signal)
    return result


def folder_of(out: str | Path) -> Path:
    """The folder of the images.

    Raises:
        ValueError: an empty name, which would be the folder that one stands in.
    """
    if not str(out).strip():
        raise ValueError('out="": is empty, which would be this folder: give a path, or "." for this folder')
    return Path(out)


def generate_many(
    prompts: Any,
    out: Path,
    model: Model,
    *,
    plan: Any,
    interval: int | None,
    branch: int | None,
    steps: int,
    seed: int,
    engine: Engine,
    shard: Shard,
    batch: int,
    overwrite: bool,
    listener: Listener,
    call: Mapping[str, Any],
) -> ManyResult:
    """`generate` for a model of any origin; the command line's own way in.

    Raises:
        as `generate`.
    """
    check_counts(steps, seed)
    check_count("batch", batch)
    for name in call:
        if name in OWN or name == "prompt":
            raise ValueError(f"{name}=...: give {OWN.get(name, 'it in the prompts')}")
    check_values(call)
    plans = PlanCheck(model.config, model.revision)
    plans.check(plan, interval, branch)
    settings = {
        **(model.settings or {}),
        "plan": described_plan(plan),
        "interval": interval,
        "branch": branch,
        "steps": steps,
        "seed": seed,
        "threads": engine.threads,
        "call": {name: described_value(value) for name, value in call.items()},
    }
    with ExitStack() as end:
        file, folder = as_file(prompts, end)
        arguments = None if model.pipeline is None else arguments_of(model.pipeline)
        run = ManyRun(
            file,
            out,
            LineSchema(arguments, folder),
            settings,
            seed,
            batch,
            shard,
            overwrite,
            plans.describer(),
        )
        own_threads(engine, end)
        return run_many(
            run,
            lambda name: PipelineJob(
                model.load,
                out.resolve(),
                name,
                plan,
                interval,
                branch,
                steps,
                call,
                model.sized_like_image,
                engine.threads,
            ),
            lambda: engine.make(model.device),
            listener,
        )


def as_file(prompts: Any, end: ExitStack) -> tuple[Path, Path]:
    """The file of prompts, and the folder that relative paths in it start from."""
    if isinstance(prompts, str | Path):
        return Path(prompts), Path(prompts).parent
    folder = end.enter_context(tempfile.TemporaryDirectory(prefix="mmcache-prompts-"))
    if not isinstance(prompts, Iterable):
        raise TypeError(f'prompts={shown(prompts)}: wanted a file, or texts and dicts with "prompt"')
    file = Path(folder, "prompts.jsonl")
    end.enter_context(without_the_file(file))
    write_lines(prompts, file)
    return file, Path()


@contextmanager
def without_the_file(file: Path) -> Iterator[None]:
    """Name in errors the prompts of the caller, not the file that they were written to."""
    try:
        yield
    except PromptsFileError as error:
        said = str(error).replace(f"{file}: line ", "prompt ").replace(str(file), "prompts")
        raise PromptsFileError(said) from None
