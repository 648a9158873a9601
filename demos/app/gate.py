"""What every request passes before gradio reads it: its size, its time, what is laid down, log-ins."""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from mmcache_demos.app.allowances import WAITS, Laid, LogIns
from mmcache_demos.app.limits import LimitError, Limits

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

AROUND_A_FILE = 2**16  # bytes that a form has beside its file
JSON_BYTES = 2**20  # of every other request: settings, and where files are
# gradio's page has its scripts inline and compiles some; everything has to come from the page's own host.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-src 'none'; frame-ancestors 'self'"
)  # other origins that may show the page in a frame are added at the end
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)


class Alias:
    """A name for a folder that says nothing of the machine, as long as the folder's own.

    gradio tells a page where its files lie. As both names are equally long, no answer changes its length.
    """

    def __init__(self, folder: Path) -> None:
        self.real = str(folder).encode()
        letters = secrets.token_hex(len(self.real))
        self.shown = b"/" + letters[: len(self.real) - 1].encode()

    def outward(self, content: bytes) -> bytes:
        return content.replace(self.real, self.shown)

    def inward(self, content: bytes) -> bytes:
        return content.replace(self.shown, self.real)


class Gate:
    """An ASGI application in front of gradio's.

    Args:
        app: what is behind it.
        limits: bytes, and seconds of a request.
        folder: whose name nobody is told.
        kept_seconds: for how long uploads are kept.
        framed_by: other origins whose pages may show this one in a frame.
    """

    def __init__(
        self, app: Any, limits: Limits, folder: Path, kept_seconds: float, framed_by: Sequence[str] = ()
    ) -> None:
        self._app = app
        policy = " ".join((POLICY, *framed_by))
        self._headers = ((b"content-security-policy", policy.encode()), *HEADERS)
        self._limits = limits
        self._alias = Alias(folder)
        self._laid = Laid(limits, kept_seconds)
        self._log_ins = LogIns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = Answer(send, self._alias, self._headers)
        try:
            await self._pass(scope, receive, answer)
        except Refused as refused:
            await answer.refuse(refused.status, str(refused))
        except Exception as error:  # of gradio, at what no page sends; its trace would fill the log
            print(f"a request was refused: {type(error).__name__}")
            await answer.refuse(500, "This request cannot be answered.")

    async def _pass(self, scope: Scope, receive: Receive, answer: "Answer") -> None:
        headers = dict(scope["headers"])
        visitor = (scope.get("client") or ("",))[0]
        if b"transfer-encoding" in headers:
            raise Refused(411, "Say how long the request is (Content-Length).")
        size = int(headers.get(b"content-length", b"0"))
        form = headers.get(b"content-type", b"").startswith(b"multipart/")
        most = self._limits.upload_bytes + AROUND_A_FILE if form else JSON_BYTES
        if size > most:
            raise Refused(413, f"A request of {size} bytes; at most {most} are taken.")
        if form:
            try:
                self._laid.take(visitor, size)
            except LimitError as error:
                raise Refused(429, str(error)) from None
        timely = Timely(receive, self._limits.request_seconds)
        if size and not form:
            timely = Timely.replay(self._alias.inward(await timely.whole()), receive)
        for key in ("path", "raw_path"):
            path = scope.get(key)
            if isinstance(path, bytes):
                scope[key] = self._alias.inward(path)
            elif path:
                scope[key] = self._alias.inward(path.encode()).decode()
        if scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/login"):
            wait = self._log_ins.wait(visitor)
            if wait > WAITS:
                raise Refused(429, "Too many wrong passwords. Try again in a minute.")
            await asyncio.sleep(wait)
            await self._app(_sized(scope, timely), timely, answer)
            self._log_ins.ended(visitor, right=answer.status < 400)
            return
        await self._app(_sized(scope, timely), timely, answer)


class Refused(Exception):
    """A request goes no further.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Timely:
    """A request's body, which has to be there in time."""

    def __init__(self, receive: Receive, seconds: float, content: bytes | None = None) -> None:
        self._receive = receive
        self._until = time.monotonic() + seconds
        self._over = False
        self.content = content

    @classmethod
    def replay(cls, content: bytes, receive: Receive) -> "Timely":
        """A body that was read already, and what comes after it."""
        return cls(receive, 0, content)

    async def __call__(self) -> MutableMapping[str, Any]:
        if self.content is not None and not self._over:
            self._over = True
            return {"type": "http.request", "body": self.content, "more_body": False}
        if self._over:  # what comes now is the end of the connection, which may be hours away
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.01, self._until - time.monotonic()))
        except (TimeoutError, asyncio.TimeoutError):
            raise _too_slow() from None
        self._over = not message.get("more_body", False)
        return message

    async def whole(self) -> bytes:
        """All of it."""
        parts = []
        while not self._over:
            message = await self()
            if message["type"] == "http.disconnect":
                raise Refused(400, "The request was broken off.")
            parts.append(message.get("body", b""))
        return b"".join(parts)


def _too_slow() -> Exception:
    # gradio deletes what it has of an upload on this error, and on no other.
    from starlette.formparsers import MultiPartException

    class TooSlow(Refused, MultiPartException):
        message = "The request came too slowly."

    return TooSlow(408, TooSlow.message)


def _sized(scope: Scope, body: Timely) -> Scope:
    """The scope with the length of a body that was read; names of folders may have changed in it."""
    if body.content is None:
        return scope
    kept = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    return {**scope, "headers": [*kept, (b"content-length", str(len(body.content)).encode())]}


class Answer:
    """What is sent back: with headers for the browser, without the folder's name.

    Attributes:
        status: of HTTP; 0 before it is sent.
    """

    def __init__(self, send: Send, alias: Alias, headers: Headers) -> None:
        self.status = 0
        self._headers = headers
        self._send = send
        self._alias = alias
        self._text = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [(name, self._alias.outward(value)) for name, value in message.get("headers", [])]
            kind = dict(headers).get(b"content-type", b"")
            self._text = kind.startswith((b"text/", b"application/json"))
            message = {**message, "headers": [*headers, *self._headers]}
        elif message["type"] == "http.response.body" and self._text and message.get("body"):
            message = {**message, "body": self._alias.outward(bytes(message["body"]))}
        await self._send(message)

    async def refuse(self, status: int, words: str) -> None:
        """Answer in one sentence, unless an answer has begun; the connection is closed then."""
        if self.status:
            return
        content = json.dumps({"detail": words}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
            (b"connection", b"close"),
        ]
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": content})
