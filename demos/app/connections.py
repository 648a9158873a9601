"""Connections that have to ask something in time: who opens one and never ends a request is hung up on."""

import asyncio
from typing import Any


def asking_within(protocol: type[Any], seconds: float) -> type[Any]:
    """A protocol of uvicorn that closes connections on which no whole request has begun in time.

    uvicorn itself waits for a request's headers for ever. Bodies are waited for by `gate.Gate`.

    Args:
        protocol: the one that the server speaks.
        seconds: for the headers of each request.
    """

    class Asking(protocol):  # type: ignore[misc]
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._hang_up: asyncio.TimerHandle | None = None
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._unwatch()
            super().connection_lost(exc)

        def _watch(self) -> None:
            cycle = getattr(self, "cycle", None)
            if cycle is not None and not cycle.response_complete:
                self._unwatch()  # a request is answered, which may take as long as it takes
            elif self._hang_up is None:
                self._hang_up = asyncio.get_running_loop().call_later(seconds, self._close_if_idle)

        def _unwatch(self) -> None:
            if self._hang_up is not None:
                self._hang_up.cancel()
                self._hang_up = None

        def _close_if_idle(self) -> None:
            self._hang_up = None
            cycle = getattr(self, "cycle", None)
            if cycle is None or cycle.response_complete:
                self.transport.close()

    return Asking
