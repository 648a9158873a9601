"""What a worker does: loads a pipeline once, then generates batch after batch into the store."""

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmcache.caller import MmcacheWarning
from mmcache.tools.generating.failures import free_memory, is_broken, out_of_memory, words_of
from mmcache.tools.generating.items import Item, canonical
from mmcache.tools.generating.lines import is_image_key
from mmcache.tools.generating.loading_turn import loading_turn, offline
from mmcache.tools.generating.outcomes import Batch, Generate, Outcome, WorkerBroken
from mmcache.tools.generating.sidecar import about, slim, summed
from mmcache.tools.generating.store import Store

STEPS = "num_inference_steps"


@dataclass(frozen=True)
class PipelineJob:
    """Everything a worker has to know; it can be pickled if `load` can.

    Attributes:
        load: makes the pipeline, or a pair of it and arguments that all calls have in common.
        out: the folder of the images.
        run: names this run, on all machines.
        plan: as `accelerate` takes it.
        interval, branch: likewise.
        steps: of lines that do not say.
        call: arguments that all calls have in common, above those of `load`.
        sized_like_image: whether an image of a line's own sets the proportions.
        threads: of the CPU; None leaves them as they are.
    """

    load: Callable[[], Any]
    out: Path
    run: str
    plan: Any = None
    interval: int | None = None
    branch: int | None = None
    steps: int = 50
    call: Mapping[str, Any] = field(default_factory=dict)
    sized_like_image: bool = False
    threads: int | None = 1

    def open(self) -> Generate:
        """Load the pipeline, when it is this worker's turn on its machine."""
        import torch

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        quiet_libraries()
        with noted_warnings(), loading_turn(self.run) as loaded_before:
            pipe, call = self._load(loaded_before)
        pipe.set_progress_bar_config(disable=True)
        return PipelineWorker(self, pipe, call)

    def _load(self, loaded_before: bool) -> tuple[Any, Mapping[str, Any]]:
        try:
            with offline(loaded_before):
                made = self.load()
        except Exception:
            if not loaded_before:
                raise
            made = self.load()  # what another worker read may not be all that this one needs
        return (made[0], made[1]) if isinstance(made, tuple) else (made, {})


class PipelineWorker:
    """A loaded pipeline.

    Args:
        job: what it was loaded for.
        pipe: the pipeline.
        call: arguments that all calls have in common, below the job's own.
    """

    def __init__(self, job: PipelineJob, pipe: Any, call: Mapping[str, Any]) -> None:
        self._job = job
        self._pipe = pipe
        self._call = dict(call)
        self._store = Store(job.out)
        self._most = 2**31  # images in a call, halved when memory runs out
        self._plan: str | None = None
        self._session: Any = None
        self._about = about(pipe)

    def __call__(self, batch: Batch) -> list[Outcome]:
        """Generate a batch. What failed is said in its outcome; what broke the worker is raised.

        Raises:
            WorkerBroken: the device has an error that stays.
        """
        outcomes: list[Outcome] = []
        missing: list[Item] = []
        for item in batch:  # another driver may have been quicker
            sidecar = self._store.sidecar(item)
            if sidecar is None:
                missing.append(item)
            else:
                outcomes.append(Outcome(item.name, sidecar))
        return outcomes + (self._try(missing) if missing else [])

    def _try(self, items: Sequence[Item]) -> list[Outcome]:
        if len(items) > self._most:
            return self._in_halves(items)
        try:
            return self._generate(items)
        except Exception as error:
            failed: Exception = error.with_traceback(None)  # frames hold tensors
        if is_broken(failed):
            raise WorkerBroken(words_of(failed))
        if out_of_memory(failed):
            free_memory()
            if len(items) > 1:
                self._most = max(1, len(items) // 2)
        if len(items) > 1:  # until the one is alone that cannot be generated
            return self._in_halves(items)
        retry = isinstance(failed, OSError | RuntimeError | MemoryError)
        return [Outcome(items[0].name, None, words_of(failed), retry)]

    def _in_halves(self, items: Sequence[Item]) -> list[Outcome]:
        middle = len(items) // 2
        return [*self._try(items[:middle]), *self._try(items[middle:])]

    def _generate(self, items: Sequence[Item]) -> list[Outcome]:
        from mmcache.tools.comparison.video_comparison import fps_of
        from mmcache.tools.media.generated_file import file_of
        from mmcache.tools.running.call_settings import settings_of, takes_prompt
        from mmcache.tools.running.requests import ImageRequest
        from mmcache.tools.running.runner import running

        call = self._arguments(items[0])
        steps = call.pop(STEPS, self._job.steps)
        call.pop("prompt", None)
        prompt = items[0].prompt if takes_prompt(self._pipe) else None
        settings = settings_of(self._pipe, prompt, None, call)
        requests = [ImageRequest(item.prompt, item.seed) for item in items]
        with noted_warnings() as notes, running(self._pipe, settings) as runner:
            self._use_plan(items[0].plan)
            sampling = runner.run_batch(requests, **{STEPS: steps})
            report = self._session.report()
        seconds = sampling.seconds / len(items)
        outcomes = []
        for item, image in zip(items, sampling.images, strict=True):
            content = file_of(image[None], fps_of(settings))
            ending = ".mp4" if image.ndim > 3 else ".png"
            sidecar = self._store.write(
                item, content, ending, self._sidecar(item, report, seconds, len(items))
            )
            outcomes.append(Outcome(item.name, slim(sidecar), notes=tuple(notes)))
        return outcomes

    def _use_plan(self, plan: str) -> None:
        """Accelerate with a line's plan, or the run's."""
        from mmcache.api.accelerate import accelerate

        if plan == self._plan:
            return
        job = self._job
        if plan:
            self._session = accelerate(self._pipe, plan)
        else:
            self._session = accelerate(self._pipe, job.plan, interval=job.interval, branch=job.branch)
        self._plan = plan

    def close(self) -> None:
        """Leave the pipeline as it was: it may be the caller's own."""
        if self._session is not None:
            self._session.restore()

    def _arguments(self, item: Item) -> dict[str, Any]:
        """The arguments of the call, images read; an image of its own brings its own proportions."""
        from PIL.Image import Image

        from mmcache.tools.running.call_settings import has_argument
        from mmcache.tools.tasks.task_inputs import size_like

        own = with_images(item.arguments)
        if "control_image" in own and not has_argument(self._pipe, "control_image"):
            own["image"] = own.pop("control_image")
        like = own.get("image") if self._job.sized_like_image else None
        size = size_like(self._pipe, like) if isinstance(like, Image) else {}
        return {**self._call, **size, **self._job.call, **own}

    def _sidecar(self, item: Item, report: Any, seconds: float, batch: int) -> dict[str, Any]:
        from mmcache.plans.plan_file import plan_as_dict

        plans = {name: plan_as_dict(plan) for name, plan in self._session.plans.items()}
        return {
            "prompt": item.prompt,
            "seed": item.seed,
            "arguments": {name: value for name, value in item.arguments.items() if name != "prompt"},
            "plan": {name: str(plan) for name, plan in self._session.plans.items()},
            "plan_hash": hashlib.sha256(canonical(plans).encode()).hexdigest(),
            **self._about,
            "batch": batch,
            "report": summed(report, seconds, batch),
        }


def with_images(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments whose images are read from their files; a mask has to match its image.

    Raises:
        ImageFileError: a file is missing or no image, or a mask has another size.
    """
    from mmcache.tools.media.image_files import read_image, read_mask

    read: dict[str, Any] = dict(arguments)
    for name, value in arguments.items():
        if is_image_key(name) and name != "mask_image":
            read[name] = (
                [read_image(file) for file in value] if isinstance(value, list) else read_image(value)
            )
    mask = arguments.get("mask_image")
    if isinstance(mask, str):
        size = getattr(read.get("image"), "size", None)
        read["mask_image"] = read_image(mask) if size is None else read_mask(mask, size)
    return read


def quiet_libraries() -> None:
    """Progress bars and chatter of every worker would fill the driver's terminal."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


@contextmanager
def noted_warnings() -> Any:
    """Warnings of mmcache become notes for the driver, which shows each of them once; others are dropped."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", module="mmcache", category=UserWarning)
        warnings.filterwarnings("always", category=MmcacheWarning)
        yield notes
        notes += dict.fromkeys(str(one.message) for one in caught)
