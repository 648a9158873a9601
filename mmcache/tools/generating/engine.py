"""What the workers are: this process, processes of this machine, or actors of a Ray cluster."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from mmcache.tools.generating.local_pool import LocalPool
from mmcache.tools.generating.outcomes import Job, Pool
from mmcache.tools.generating.process_pool import ProcessPool
from mmcache.tools.generating.ray_pool import RayPool, connect, require_ray
from mmcache.tools.generating.run import Workers
from mmcache.tools.running.call_settings import MOST, check_count

OWN_DEVICES = ("auto", "cuda")  # with which every worker takes a GPU of its own
MOST_PROCESSES = 256  # of this machine, each with a whole pipe: many more end it, not the prompts


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
            most = MOST if self.ray is not None else max(MOST_PROCESSES, os.cpu_count() or 1)
            check_count("workers", self.workers, most=most)
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
