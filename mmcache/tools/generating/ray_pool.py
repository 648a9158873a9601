"""Workers as actors of Ray Core, on any number of machines."""

import os
import pickle
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mmcache.errors import MissingExtraError
from mmcache.tools.generating.outcomes import Batch, Died, Event, Finished, Generate, Job, Outcome, Ready

AT_ONCE = 64  # results that are looked at in one go
AUTO = "auto"


class RayStartError(RuntimeError):
    """Ray is installed, but no cluster could be started or joined."""


def require_ray() -> Any:
    """The package.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtraError(
            "Ray spreads work over machines and is not installed: pip install 'mmcache[ray]'. On one machine "
            "--workers N needs nothing extra; with a launcher of your own, --shard I/N"
        ) from None
    return ray


class Cluster(NamedTuple):
    """A cluster that was joined: how many workers, and whether it was joined for them alone."""

    workers: int
    own: bool


def connect(address: str, workers: int | None, resource: str | None, threads: int) -> Cluster:
    """Join a cluster.

    Args:
        address: "auto" for the cluster of this machine, or else a new one; "local" for a new one.
        workers: None for as many as there is room for.
        resource, threads: what each takes.

    Raises:
        ValueError: no cluster at this address, or nothing of the resource in it.
        RayStartError: a new one does not start, or the cluster has another version.
    """
    ray = require_ray()
    own = not ray.is_initialized()
    if own:
        try:
            ray.init(address=address_for(address), log_to_driver=False, logging_level="error")
        except ConnectionError as error:
            raise ValueError(f"no Ray cluster at {address!r}: {' '.join(str(error).split())[:160]}") from None
        except ValueError:
            raise
        except Exception as error:  # Ray raises this very class where its processes are late
            raise RayStartError(
                f"Ray has no cluster ready ({' '.join(str(error).split())[:120]}). Try again when the "
                f"machine is less busy, start Ray by itself (ray start --head), or use --workers N instead"
            ) from error
    if workers is not None:
        return Cluster(workers, own)
    room = ray.cluster_resources()
    kind = resource or ("GPU" if room.get("GPU") else "CPU")
    count = int(room.get(kind, 0) // (threads if kind == "CPU" else 1))
    if count < 1:
        has = ", ".join(f"{name}: {amount:g}" for name, amount in sorted(room.items()) if ":" not in name)
        raise ValueError(
            f"the Ray cluster has nothing of {kind!r} (it has {has}); give the number of workers"
        )
    return Cluster(count, own)


def address_for(address: str) -> str | None:
    """What Ray is told; None lets it find the cluster of this machine, or start one.

    A head that was killed leaves its address behind, and Ray would wait for it for minutes: then "local".
    """
    if address != AUTO:
        return address
    from ray._private.utils import read_ray_address  # nothing public tells it

    noted = "" if os.environ.get("RAY_ADDRESS") else read_ray_address()
    return "local" if noted and not answers(noted) else None


def answers(address: str) -> bool:
    """Whether something listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=3):
            return True
    except (OSError, ValueError):
        return False


class Actor:
    """A worker in a process of Ray. Its methods run one after another, in the order of their calls."""

    def __init__(self, pickled: bytes, threads: int) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        self._pickled = pickled
        self._generate: Generate | None = None

    def open(self) -> int:
        """Load; returns the number of the process."""
        self._generate = pickle.loads(self._pickled).open()
        return os.getpid()

    def run(self, batches: Sequence[Batch]) -> list[Outcome]:
        """Generate batches."""
        assert self._generate is not None
        return [outcome for batch in batches for outcome in self._generate(batch)]


class Call(NamedTuple):
    """A call of an actor that has not been answered.

    Attributes:
        reference: of its answer.
        make: the event that the answer becomes, for a slot.
    """

    reference: Any
    make: Callable[[int, Any], Event]


class RayPool:
    """A worker in each slot is an actor; a new one takes the place of one that died, wherever there is room.

    Args:
        job: what workers do; modules that it names must be installed on every machine.
        resource: that each actor takes one of; None for a GPU where the cluster has any, else CPUs.
        threads: of the CPU per worker.
        own: whether to leave the cluster at the end.
    """

    def __init__(self, job: Job, resource: str | None, threads: int, *, own: bool) -> None:
        self._ray = ray = require_ray()
        from ray import cloudpickle

        self._job = cloudpickle.dumps(job)
        self._threads = threads
        self._own = own
        needs: dict[str, Any] = {"num_cpus": threads}
        if resource is not None:
            needs["resources"] = {resource: 1}
        elif ray.cluster_resources().get("GPU"):
            needs["num_gpus"] = 1
        self._cls = ray.remote(Actor).options(max_restarts=0, max_task_retries=0, **needs)
        self._actors: dict[int, Any] = {}
        self._calls: dict[int, deque[Call]] = {}

    def start(self, slot: int) -> None:
        actor = self._cls.remote(self._job, self._threads)
        self._actors[slot] = actor
        self._calls[slot] = deque([Call(actor.open.remote(), lambda slot, pid: Ready(slot))])

    def send(self, slot: int, batches: Sequence[Batch]) -> None:
        if (actor := self._actors.get(slot)) is not None:  # else its death is about to be told
            self._calls[slot].append(Call(actor.run.remote(list(batches)), Finished))

    def events(self, timeout: float) -> Sequence[Event]:
        # An actor's first call alone: of two quick ones the second answer may come before the first.
        first = {calls[0].reference: slot for slot, calls in self._calls.items() if calls}
        waiting = list(first)
        if not waiting:
            time.sleep(timeout)
            return []
        done, _ = self._ray.wait(waiting, num_returns=1, timeout=timeout)
        if done and len(waiting) > 1:  # what else is there already
            done, _ = self._ray.wait(waiting, num_returns=min(len(waiting), AT_ONCE), timeout=0)
        return [self._read(first[reference]) for reference in done]

    def _read(self, slot: int) -> Event:
        """The answer to an actor's first call."""
        reference, make = self._calls[slot].popleft()
        try:
            return make(slot, self._ray.get(reference))
        except self._ray.exceptions.RayTaskError as error:  # the job raised it: the process is of no more use
            cause = getattr(error, "cause", None) or error
            self._bury(slot)
            fatal = None
            if make is not Finished and not isinstance(cause, RuntimeError | MemoryError):
                fatal = cause
            return Died(slot, f"{type(cause).__name__}: {' '.join(str(cause).split())[:300]}", fatal=fatal)
        except self._ray.exceptions.RayError as error:
            self._bury(slot)
            return Died(slot, reason_of(error), blame=not machine_is_gone(error))

    def _bury(self, slot: int) -> None:
        """Forget an actor, and what it had."""
        del self._calls[slot]
        self._ray.kill(self._actors.pop(slot))

    def close(self, grace: float) -> Sequence[Event]:
        """Actors stop after the call that they are in: the later ones are cancelled."""
        for calls in self._calls.values():
            keep = 1 if calls and calls[0].make is Finished else 0
            while len(calls) > keep:
                self._ray.cancel(calls.pop().reference, force=False)
        until = time.monotonic() + grace
        last: list[Event] = []
        while any(self._calls.values()) and (left := until - time.monotonic()) > 0:
            last += self.events(left)
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors.clear()
        if self._own:
            self._ray.shutdown()
        return [event for event in last if isinstance(event, Finished)]


def machine_is_gone(error: Any) -> bool:
    """Whether an actor died with its machine, which says nothing of its work."""
    words = str(error).lower()
    signs = (
        "node died",
        "node has died",
        "node failure",
        "node was terminated",
        "the actor's node",
        "preempt",
        "node_died",
    )
    return bool(getattr(error, "preempted", False)) or any(sign in words for sign in signs)


def reason_of(error: Any) -> str:
    words = " ".join(str(error).split())
    return f"its actor died: {words[:300]}"
