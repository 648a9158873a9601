"""One session for all pipelines that call its denoisers: what `accelerate(pipe, shared=True)` does.

In a service one model is loaded, and a pipeline is made from its components for each request. It is
accelerated at its first call of a shared model, as if `accelerate` had been called on it with the same
arguments.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from torch import nn

from mmcache.api.notes import Note
from mmcache.caller import warn
from mmcache.clocks.pipeline_clock import pipelines_of
from mmcache.compat.calling_pipeline import calling_pipelines
from mmcache.patching.forward_patch import Around

if TYPE_CHECKING:
    from mmcache.api.session import Session


class Sharing:
    """Accelerates the pipelines that call a session's models.

    Args:
        accelerate: makes the session of another pipeline.
        session_of: finds a session that a pipeline has already.

    Attributes:
        notes: which pipelines could not be accelerated, and why.
    """

    def __init__(
        self, accelerate: Callable[[Any], "Session"], session_of: Callable[[Any], "Session | None"]
    ) -> None:
        self.notes: list[Note] = []
        self._accelerate = accelerate
        self._session_of = session_of
        self._members: WeakSet[Session] = WeakSet()
        self._refused: WeakSet[Any] = WeakSet()
        self._lock = threading.Lock()

    def members(self) -> list["Session"]:
        """The sessions of the pipelines that are there now."""
        with self._lock:
            return list(self._members)

    def deputy(self, session: "Session", model: nn.Module) -> Around | None:
        """What drives a call of a model that a pipeline without a session makes; None for other calls."""
        callers = [caller.pipeline for caller in calling_pipelines()]
        owner = session.owner
        if not callers or owner is None or any(one is owner for one in callers):
            return None
        if any(one in self._refused or self._session_of(one) for one in callers):
            return None
        # The outermost that is made of the innermost: a pipeline of several is accelerated as a whole.
        made_of = ((one, pipelines_of(one)) for one in reversed(callers))
        pipeline = next(one for one, parts in made_of if any(part is callers[0] for part in parts))
        member = self._accept(session, pipeline)
        if member is None:
            return None
        drivers = {id(one.model): one for one in member.denoisers.values()}
        sides = {id(one.model): one for one in member.side_networks.values()}
        return drivers.get(id(model)) or sides.get(id(model))

    def _accept(self, session: "Session", pipeline: Any) -> "Session | None":
        """Accelerate a pipeline; None if that cannot be done: it runs in full, and is told so."""
        try:
            member = self._accelerate(pipeline)
        except (ValueError, TypeError) as error:
            text = f"calls by a {type(pipeline).__name__} run in full: {error}"
            with self._lock:
                self._refused.add(pipeline)
                known = text in self.notes
                self.notes += [] if known else [Note("runs_in_full", text)]
            if not known:
                warn(text)
            return None
        member.join(session)
        with self._lock:
            self._members.add(member)
        return member
