"""What a worker says of its items, and what it is told to do: plain data that crosses processes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mmcache.tools.generating.items import Item

Batch = tuple[Item, ...]
"""Items that share one call of the pipeline."""


@dataclass(frozen=True)
class Outcome:
    """What became of one item.

    Attributes:
        name: of the item.
        report: what its sidecar says of the run; None if it failed.
        reason: why it failed.
        retry: whether it might succeed elsewhere.
        notes: what there is to say to the user.
    """

    name: str
    report: Mapping[str, Any] | None = None
    reason: str = ""
    retry: bool = False
    notes: tuple[str, ...] = ()


class WorkerBroken(RuntimeError):
    """A worker cannot go on in its process: its device has an error that stays."""


Generate = Callable[[Batch], list[Outcome]]


class Job(Protocol):
    """What workers do. It is sent to each of them, so it can be pickled."""

    def open(self) -> Generate:
        """Make ready, once per worker: load the model."""


@dataclass(frozen=True)
class Ready:
    """A worker has loaded its model."""

    slot: int


@dataclass(frozen=True)
class Finished:
    """A worker has done one message's batches."""

    slot: int
    outcomes: Sequence[Outcome]


@dataclass(frozen=True)
class Died:
    """A worker is gone.

    Attributes:
        reason: in words.
        blame: whether what it worked on, or the worker, may be the cause; a machine that vanished is not.
        fatal: whether no other worker would fare better: what all of them load does not load.
    """

    slot: int
    reason: str
    blame: bool = True
    fatal: BaseException | None = None


Event = Ready | Finished | Died


class Pool(Protocol):
    """Workers behind slots. A slot has at most one worker at a time."""

    def start(self, slot: int) -> None:
        """Start a worker."""

    def send(self, slot: int, batches: Sequence[Batch]) -> None:
        """Give a ready worker a message of batches; it does messages in the order in which they come."""

    def events(self, timeout: float) -> Sequence[Event]:
        """What has happened, after at most this many seconds of waiting."""

    def close(self, grace: float) -> Sequence[Event]:
        """End all workers; one that works may finish its message within this many seconds.

        Returns:
            What was finished.
        """
