"""One loaded model that many requests share: a pipeline for each thread, a plan for each request."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakSet

import torch
from PIL import Image

import mmcache
from mmcache.errors import unknown_name
from mmcache_demos.serving.gate import Gate
from mmcache_demos.serving.metrics import Metrics


class RequestTimeoutError(Exception):
    """A request was not done in time, and was stopped between two steps."""


@dataclass(frozen=True)
class ImageRequest:
    """What somebody wants.

    Attributes:
        prompt: of the image.
        plan: the name of a preset: quality, balanced, fast, turbo.
        steps: of sampling.
        seed: of the noise.
        seconds: in which it has to be done, the time that it waits for its turn among them.
    """

    prompt: str
    plan: str = "balanced"
    steps: int = 50
    seed: int = 0
    seconds: float = 60.0


@dataclass(frozen=True)
class Answer:
    """An image, and one line of what it took."""

    image: Image.Image
    summary: str


class ImageService:
    """Generates images in a pool of threads.

    Args:
        pipe: a loaded pipeline; it is never called itself.
        workers: images that are sampled at once.
        loras: a folder of LoRA files, by whose names they are switched on.
    """

    def __init__(self, pipe: Any, workers: int = 2, loras: Path | None = None) -> None:
        self.metrics = Metrics()
        self._pipe = pipe
        self._gate = Gate()
        self._loras = (
            {} if loras is None else {file.stem: file for file in sorted(loras.glob("*.safetensors"))}
        )
        self._loaded: set[str] = set()
        self._pool = ThreadPoolExecutor(workers, "image")
        self._of_thread = threading.local()
        self._sessions: WeakSet[mmcache.Session] = WeakSet()
        self._enabled = True
        self._switch = threading.Lock()  # no session begins while caching is switched

    def submit(self, request: ImageRequest) -> "Future[Answer]":
        """Generate an image, when its turn comes.

        Raises:
            mmcache.PlanFileError: no such preset.
        """
        if request.plan not in mmcache.presets():
            raise mmcache.PlanFileError(unknown_name("plan", request.plan, mmcache.presets()))
        return self._pool.submit(self._answer, request, time.monotonic() + request.seconds)

    def _answer(self, request: ImageRequest, deadline: float) -> Answer:
        outcome = "error"
        try:
            with self._gate.shared():
                answer = self._generate(request, deadline)
            outcome = "ok"
            return answer
        except RequestTimeoutError:
            outcome = "timeout"
            raise
        finally:
            self.metrics.answered(request.plan, outcome)

    def _generate(self, request: ImageRequest, deadline: float) -> Answer:
        late = f"not done in {request.seconds:g} s"

        def stop_in_time(pipe: Any, step: int, timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
            if time.monotonic() > deadline:
                raise RequestTimeoutError(f"{late}: stopped after step {step + 1} of {request.steps}")
            return kwargs

        if time.monotonic() > deadline:  # it has waited too long for its turn
            raise RequestTimeoutError(
                f"{late}: stopped after step 0 of {request.steps}, since it waited for its turn"
            )
        mine = self._pipeline()
        session = mmcache.accelerate(mine, request.plan)
        session.on_run(self.metrics.recorder(request.plan))
        with self._switch:
            session.enabled = self._enabled
            self._sessions.add(session)
        image = mine(
            request.prompt,
            num_inference_steps=request.steps,
            generator=torch.Generator().manual_seed(request.seed),
            callback_on_step_end=stop_in_time,
        ).images[0]
        return Answer(image, session.report().summary())

    def _pipeline(self) -> Any:
        """This thread's pipeline; all have the same models."""
        if not hasattr(self._of_thread, "pipe"):
            self._of_thread.pipe = mmcache.clone_pipeline(self._pipe)
            self._of_thread.pipe.set_progress_bar_config(disable=True)
        return self._of_thread.pipe

    @property
    def enabled(self) -> bool:
        """Whether anything is cached. Switched off, every request runs in full, those at work from now on."""
        return self._enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        with self._switch:
            self._enabled = value
            for session in self._sessions:
                session.enabled = value

    @property
    def loras(self) -> list[str]:
        """The names of LoRAs that can be switched on."""
        return sorted(self._loras)

    def switch_lora(self, name: str | None, scale: float = 1.0) -> None:
        """Switch to a LoRA between two requests, or to none: the model is everybody's.

        Raises:
            KeyError: no such LoRA.
        """
        file = None if name is None else self._loras[name]
        with self._gate.alone():
            if file is None or name is None:
                if self._loaded:
                    self._pipe.disable_lora()
                return
            if name not in self._loaded:
                self._pipe.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name=name)
                self._loaded.add(name)
            self._pipe.enable_lora()
            self._pipe.set_adapters([name], [scale])

    def close(self) -> None:
        """Let requests end that are at work, and forget those that wait."""
        self._pool.shutdown(cancel_futures=True)
