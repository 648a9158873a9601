"""The page's own files and its head: stored images, the README, what a link to it shows."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, HTMLResponse

from mmcache_demos.app.about import ABOUT, about_page
from mmcache_demos.app.markup import text
from mmcache_demos.app.stored import FOLDER, SERVED, SHARED

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

TITLE = "mmcache: the same picture with less work"
DESCRIPTION = (
    "See a diffusion model generate an image twice from the same noise: in a full run, and with cached deep "
    "features. No training, no download, on your own prompt."
)
HOST = re.compile(r"[\w.:\[\]-]{1,200}")
# gradio's own names and images for every page.
FOREIGN = re.compile(r'\s*<meta\s+(?:property="og:|name="twitter:)[^>]*>')
KEPT = {"cache-control": "public, max-age=3600"}
KINDS = {".webp": "image/webp"}  # not known to every machine


def own_files(folder: Path = FOLDER) -> dict[str, Path]:
    """The files that are served, by their paths on the page."""
    return {f"/{SERVED}/{file.name}": file for file in folder.iterdir() if file.suffix != ".json"}


class OwnFiles:
    """An ASGI application in front of gradio's.

    Args:
        app: what is behind it.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._files = own_files()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            if path in self._files:
                file = self._files[path]
                # (it answers for a part of a file too: without that, browsers cannot seek in a clip)
                answer = FileResponse(file, media_type=KINDS.get(file.suffix), headers=KEPT)
                await answer(scope, receive, send)
                return
            if path == f"/{ABOUT}":
                await HTMLResponse(about_page(), headers=KEPT)(scope, receive, send)
                return
            if path == "/":
                send = Head(send, origin_of(scope))
        await self._app(scope, receive, send)


class Head:
    """The page with a title, a description and an image of its own.

    Args:
        send: to whom it is sent.
        origin: scheme and host by which the page was asked for; links to images have to be whole.
    """

    def __init__(self, send: Send, origin: str) -> None:
        self._send = send
        self._origin = origin
        self._start: MutableMapping[str, Any] | None = None
        self._body = b""

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kind = dict(message.get("headers", [])).get(b"content-type", b"")
            if message["status"] == 200 and kind.startswith(b"text/html"):
                self._start = message
                return
        elif self._start is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            content = with_head(self._body.decode(), self._origin).encode()
            headers = [(name, value) for name, value in self._start["headers"] if name != b"content-length"]
            length = (b"content-length", str(len(content)).encode())
            await self._send({**self._start, "headers": [*headers, length]})
            self._start = None
            message = {**message, "body": content}
        await self._send(message)


def origin_of(scope: Scope) -> str:
    """http://127.0.0.1:7860, as the browser has asked; "" where that is no host."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get(b"x-forwarded-host", headers.get(b"host", ""))
    scheme = headers.get(b"x-forwarded-proto", scope.get("scheme", "http"))
    known = scheme in ("http", "https") and HOST.fullmatch(host)
    return f"{scheme}://{host}" if known else ""


def with_head(page: str, origin: str) -> str:
    """A page of gradio's with our own title, description and image in its head."""
    image = f"{origin}/{SERVED}/{SHARED}"
    own = "".join(
        f'<meta {kind}="{name}" content="{text(value)}">'
        for kind, name, value in (
            ("name", "description", DESCRIPTION),
            ("property", "og:type", "website"),
            ("property", "og:title", TITLE),
            ("property", "og:description", DESCRIPTION),
            ("property", "og:image", image),
            ("name", "twitter:card", "summary_large_image"),
            ("name", "twitter:title", TITLE),
            ("name", "twitter:description", DESCRIPTION),
            ("name", "twitter:image", image),
        )
    )
    head, found, rest = page.partition("</head>")
    if not found:
        return page
    return FOREIGN.sub("", head) + own + found + rest
