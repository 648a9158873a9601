"""`mmcache.generate(prompts, out, load=...)`: many prompts, over processes, machines, or in this process."""

import functools
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from mmcache.api.plan_choice import PlanLike
from mmcache.tools.generating.lines import LineSchema, arguments_of
from mmcache.tools.generating.local_pool import LocalPool
from mmcache.tools.generating.model_check import PlanCheck, described_plan, pipeline_class
from mmcache.tools.generating.outcomes import Job, Pool
from mmcache.tools.generating.pipeline_job import PipelineJob
from mmcache.tools.generating.process_pool import ProcessPool
from mmcache.tools.generating.progress import Listener, ProgressLine, silent
from mmcache.tools.generating.prompts_file import write_lines
from mmcache.tools.generating.ray_pool import RayPool, connect, require_ray
from mmcache.tools.generating.run import ManyResult, ManyRun, Workers, run_many
from mmcache.tools.generating.survey import ALL, Shard
from mmcache.tools.running.call_settings import OWN, check_count, check_counts

OWN_DEVICES = ("auto", "cuda")  # with which every worker takes a GPU of its own


@dataclass(frozen=True)
class LoadModel:
    """Loads a pipeline by its folder or id, in a worker."""

    model: str
    device: str = "auto"
    dtype: str = "auto"

    def __call__(self) -> Any:
        from mmcache.tools.loading import load_pipeline

        return load_pipeline(self.model, self.device, self.dtype)


@dataclass(frozen=True)
class Model:
    """How workers make their pipeline, and what is known of it before they do.

    Attributes:
        load: in a worker; it can be pickled, unless the work is done in this process.
        config: the folder or id whose config files the plan is checked against; None if there is none.
        pipeline: its class; None where nobody knows before it is loaded.
        settings: what settings.json says of it.
        sized_like_image: whether an image of a line's own sets the proportions.
        device: of all workers.
    """

    load: Callable[[], Any]
    config: str | Path | None = None
    pipeline: Any = None
    settings: Mapping[str, Any] | None = None
    sized_like_image: bool = False
    device: str = "auto"


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
        device, dtype: for a `load` that is no function.
        model: for a `load` that is one, the folder or id whose config files the plan is checked against.
        overwrite: replace images of other settings.
        progress: show a line on a terminal.
        listener: called with each event's name and what belongs to it.
        **call: arguments that all calls of the pipeline have in common.

    Raises:
        PromptsFileError, OtherSettingsError, ValueError: a line, the folder or an option cannot be used.
        MissingExtraError: `ray` without Ray installed.
    """
    if callable(load):
        made = Model(load, model, annotated_class(load), {"load": described(load)}, device=device)
    else:
        settings = {"model": str(load), "dtype": dtype}
        loader = LoadModel(str(load), device, dtype)
        made = Model(loader, load, pipeline_class(load), settings, device=device)
    return generate_many(
        prompts,
        Path(out),
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
        listener=listener or (ProgressLine() if progress else silent),
        call=call,
    )


@dataclass(frozen=True)
class Engine:
    """What the workers are.

    Attributes:
        workers: their number; None for this process, or for all of a Ray cluster.
        ray: the address of a Ray cluster.
        resource: that a Ray actor takes one of.
        threads: of the CPU per worker.
    """

    workers: int | None = None
    ray: str | None = None
    resource: str | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        check_count("threads", self.threads)
        if self.workers is not None:
            check_count("workers", self.workers)
        if self.ray is None and self.resource is not None:
            raise ValueError("a Ray resource needs the address of a Ray cluster too, such as --ray auto")
        if self.ray is not None:
            require_ray()

    def make(self, device: str) -> Workers:
        """The workers.

        Raises:
            MissingExtraError: Ray is not installed.
            ValueError: there is no such cluster.
        """
        if self.ray is not None:
            cluster = connect(self.ray, self.workers, self.resource, self.threads)

            def ray_pool(job: Job) -> Pool:
                return RayPool(job, self.resource, self.threads, own=cluster.own)

            return Workers(cluster.workers, ray_pool, own_process=False)
        if self.workers is not None:
            environment = worker_environment(device, self.threads)
            return Workers(self.workers, lambda job: ProcessPool(job, environment), own_process=False)
        return Workers(1, LocalPool, own_process=True)


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
    plans = PlanCheck(model.config)
    plans.check(plan, interval, branch)
    settings = {
        **(model.settings or {}),
        "plan": described_plan(plan),
        "interval": interval,
        "branch": branch,
        "steps": steps,
        "seed": seed,
        "threads": engine.threads,
        "call": dict(call),
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
    file = Path(folder, "prompts.jsonl")
    write_lines(prompts, file)
    return file, Path()


def own_threads(engine: Engine, end: ExitStack) -> None:
    """The number of this process's threads is afterwards what it was."""
    import torch

    if engine.workers is None and engine.ray is None:
        end.callback(torch.set_num_threads, torch.get_num_threads())


def worker_environment(device: str, threads: int) -> Callable[[int], dict[str, str]]:
    """The environment of the worker in a slot: its GPU, in turn, and its threads."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if device not in OWN_DEVICES:
        gpus = []
    elif visible is not None:
        gpus = [gpu for gpu in visible.split(",") if gpu.strip()]
    else:
        import torch

        gpus = [str(gpu) for gpu in range(torch.cuda.device_count())]

    def environment(slot: int) -> dict[str, str]:
        own = {"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if gpus else {}
        return {"OMP_NUM_THREADS": str(threads), **own}

    return environment


def annotated_class(load: Callable[[], Any]) -> Any:
    """The pipeline's class that a function says it returns; None if it says none."""
    try:
        found = get_type_hints(load).get("return")
    except Exception:  # whatever stands in the annotation
        return None
    has_call = isinstance(found, type) and found is not object and "prompt" in arguments_or_none(found)
    return found if has_call else None


def arguments_or_none(cls: Any) -> frozenset[str]:
    try:
        return arguments_of(cls)
    except (AttributeError, TypeError, ValueError):
        return frozenset()


def described(load: Any) -> Any:
    """A function by its name, and what was bound to it; for settings.json."""
    if isinstance(load, functools.partial):
        bound = {"arguments": [words(one) for one in load.args]}
        bound |= {name: words(value) for name, value in load.keywords.items()}
        return {"function": described(load.func), **bound}
    if is_dataclass(load) and not isinstance(load, type):
        values = {field.name: words(getattr(load, field.name)) for field in fields(load)}
        return {"function": described(type(load)), **values}
    name = getattr(load, "__qualname__", type(load).__qualname__)
    module = getattr(load, "__module__", "")
    return name if module == "__main__" else f"{module}.{name}"


def words(value: Any) -> str:
    """The same in every process: without addresses."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
