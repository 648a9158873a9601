"""What the server remembers of each visitor, apart from all others: full runs, past comparisons, files."""

import re
import secrets
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree

from mmcache.tools.media.output_folder import write_files
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.orders import FullRun
from mmcache_demos.app.watching import Stopped


@dataclass(frozen=True)
class Past:
    """A comparison in the gallery.

    Attributes:
        title: what was generated.
        says: how fast and how close, in a sentence.
        page: the result as it was shown, HTML.
        files: what can be downloaded, by name.
    """

    title: str
    says: str
    page: str
    files: Mapping[str, Path]


@dataclass
class Ordered:
    """A run that was asked for.

    Attributes:
        stop: set when it is to stop.
        at: when it was announced, on the monotonic clock.
        running: its turn has come.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    at: float = field(default_factory=time.monotonic)
    running: bool = False


class Visit:
    """One visitor.

    Attributes:
        gallery: past comparisons, the newest first.
        last_seen: when there was a request, on the monotonic clock.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.gallery: deque[Past] = deque()
        self.last_seen = time.monotonic()
        self._folder = folder
        self._limits = limits
        self._full_runs: OrderedDict[Hashable, FullRun] = OrderedDict()
        self._orders: dict[str, Ordered] = {}
        self._forgotten = False

    @property
    def runs(self) -> int:
        """How many runs go on, or were announced just now; one that never came gives its place back."""
        latest = time.monotonic() - self._limits.order_seconds
        return sum(order.running or order.at > latest for order in list(self._orders.values()))

    def asks_for(self, task: str) -> None:
        """A run for a task was asked for, and waits; one that was stopped before it began is forgotten."""
        if self._ordered(task).stop.is_set():
            self.ended(task)
        self._ordered(task).at = time.monotonic()

    def expects(self, task: str) -> threading.Event:
        """A run for a task begins.

        Returns:
            What is set when it is to stop; the same from the click until the run has ended.
        """
        order = self._ordered(task)
        order.running = True
        return order.stop

    def _ordered(self, task: str) -> Ordered:
        return self._orders.setdefault(task, Ordered())

    def stop(self, task: str) -> None:
        """End the run for a task, also one that is still waiting; without one it does nothing."""
        if task in self._orders:
            self._orders[task].stop.set()

    def ended(self, task: str) -> None:
        """The run for a task is over: what was to stop it does not stop the next."""
        self._orders.pop(task, None)

    def full_run(self, key: Hashable) -> FullRun | None:
        """The full run that was kept under this key."""
        if key in self._full_runs:
            self._full_runs.move_to_end(key)
        return self._full_runs.get(key)

    def keep_full_run(self, key: Hashable, run: FullRun) -> None:
        """Keep it; the one that was not used for longest makes room."""
        self._full_runs[key] = run
        if len(self._full_runs) > self._limits.kept_full_runs:
            self._full_runs.popitem(last=False)

    def write(self, files: Mapping[str, bytes]) -> dict[str, Path]:
        """Write files into a folder of their own, whose name nobody can guess.

        Returns:
            Their paths, by name.

        Raises:
            Stopped: the visit was forgotten meanwhile.
        """
        if self._forgotten:
            raise Stopped
        folder = self._folder / secrets.token_urlsafe(16)
        return {path.name: path for path in write_files(folder, files)}

    def remember(self, past: Past) -> None:
        """Put a comparison into the gallery; the oldest, with its files, makes room."""
        self.gallery.appendleft(past)
        if len(self.gallery) > self._limits.gallery:
            for path in self.gallery.pop().files.values():
                path.unlink(missing_ok=True)

    def stop_all(self, beginning: str = "") -> None:
        """End whatever runs or waits, of all orders whose names begin so."""
        for task in list(self._orders):
            if task.startswith(beginning):
                self.stop(task)

    def forget(self) -> None:
        """End what runs, and delete the files."""
        self._forgotten = True
        self.stop_all()
        rmtree(self._folder, ignore_errors=True)


TOKEN = re.compile(r"[0-9a-f]{32}")
PAGES = 20  # for each visitor that is kept: so many of its pages are known, the oldest makes room


class Visits:
    """All visitors. A visitor is a browser's tab, which has a secret of its own and keeps it when it reloads.

    Args:
        folder: for their files; whoever made it deletes it.

    Attributes:
        held: the pages whose runs a queue holds, each as often as one waits or runs.
    """

    held: Callable[[], Sequence[str]]

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = folder
        self._limits = limits
        self._visits: dict[str, Visit] = {}
        self._tokens: OrderedDict[str, str] = OrderedDict()  # by page
        self.held = list
        self._lock = threading.Lock()

    def comes_back(self, session: str, token: str) -> "Visit":
        """A page says whose it is: the visit of this secret goes on in it.

        Args:
            session: the name that a page has chosen at random when it was loaded.
            token: the secret of its tab; what is none is ignored.
        """
        if TOKEN.fullmatch(token):
            with self._lock:
                self._tokens[session] = f"token {token}"
                while len(self._tokens) > PAGES * self._limits.visits:
                    self._tokens.popitem(last=False)
        return self.of(session)

    def of(self, session: str) -> Visit:
        """The visit of a page, begun if there is none; where there are too many, the one that was idle for
        longest makes room."""
        with self._lock:
            name = self._name(session)
            if name not in self._visits:
                if len(self._visits) >= self._limits.visits:
                    held = self._held()
                    idle = [one for one, visit in self._visits.items() if not visit.runs and one not in held]
                    for one in sorted(idle, key=lambda one: self._visits[one].last_seen)[:1]:
                        self._visits.pop(one).forget()
                self._visits[name] = Visit(self.folder / secrets.token_urlsafe(16), self._limits)
            visit = self._visits[name]
            visit.last_seen = time.monotonic()
            return visit

    def forget_idle(self) -> None:
        """Forget the visits that were idle for long; one whose run goes on or waits is not idle."""
        with self._lock:
            now = time.monotonic()
            held = self._held()
            for name, visit in list(self._visits.items()):
                if visit.runs or name in held:
                    visit.last_seen = now
                elif now - visit.last_seen > self._limits.idle_seconds:
                    self._visits.pop(name).forget()

    def stop_all(self) -> None:
        """End whatever runs or waits, of all visitors."""
        with self._lock:
            for visit in self._visits.values():
                visit.stop_all()

    def runs_beside(self, session: str) -> int:
        """How many runs of all visitors but one go on, wait in a queue, or were announced just now."""
        with self._lock:
            own = self._name(session)
            held = self._held()
            known = Counter({name: visit.runs for name, visit in self._visits.items()})
        del held[own], known[own]
        return (held | known).total()

    def left(self, session: str) -> None:
        """The page was closed: end what runs for it. What it has shown is kept for a while, since phones
        close connections of pages that are only in the background."""
        with self._lock:
            if (name := self._name(session)) in self._visits:
                self._visits[name].stop_all(order_name(session, ""))

    def _name(self, session: str) -> str:
        return self._tokens.get(session, session)

    def _held(self) -> Counter[str]:
        return Counter(map(self._name, self.held()))


def order_name(session: str, task: str) -> str:
    """The name of an order: two pages of one visitor do not stop each other's runs."""
    return f"{session} {task}"
