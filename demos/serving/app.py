"""The service over HTTP, by FastAPI."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field

import mmcache
from mmcache.errors import unknown_name
from mmcache_demos.serving.service import ImageRequest, ImageService, RequestTimeoutError


class Body(BaseModel):
    """The body of a request, in which a misspelt name is refused rather than left out."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Wanted(Body):
    """The body of a request for an image."""

    prompt: str = Field(min_length=1, max_length=1000)
    plan: str = "balanced"
    steps: int = Field(50, ge=1, le=200)
    seed: int = Field(0, ge=0, lt=2**63)
    seconds: float = Field(60.0, gt=0, le=600)


class Lora(Body):
    """The body of a switch to another LoRA; none without a name."""

    name: str | None = None
    scale: float = Field(1.0, ge=-10, le=10)


class Caching(Body):
    """The body of a roll-back (`enabled` false), or of its end."""

    enabled: bool


def make_app(service: ImageService) -> FastAPI:
    """The routes of a service; `/caching` and `/lora` are for those who run it, not for its users."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(title="mmcache: images", lifespan=lifespan)

    @app.get("/", response_class=HTMLResponse)
    def start(request: Request) -> str:
        """This page."""
        return start_page(app, str(request.base_url).rstrip("/"))

    @app.post("/images", response_class=Response)
    async def images(wanted: Wanted) -> Response:
        """A PNG; the header X-Mmcache tells in one line what it took."""
        try:
            answer = await asyncio.wrap_future(service.submit(ImageRequest(**wanted.model_dump())))
        except mmcache.PlanFileError as error:
            raise HTTPException(422, str(error)) from None
        except RequestTimeoutError as error:
            raise HTTPException(504, str(error)) from None
        buffer = io.BytesIO()
        answer.image.save(buffer, "png")
        return Response(buffer.getvalue(), media_type="image/png", headers={"X-Mmcache": answer.summary})

    @app.get("/metrics", response_class=Response)
    def metrics() -> Response:
        """Prometheus counters."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.put("/caching")
    def caching(wanted: Caching) -> dict[str, Any]:
        """Switch caching off everywhere, or on again, without a restart."""
        service.enabled = wanted.enabled
        return {"enabled": service.enabled}

    @app.put("/lora")
    def lora(wanted: Lora) -> dict[str, Any]:
        """Switch to a LoRA, or to none, once no request is at work."""
        if wanted.name is not None and wanted.name not in service.loras:
            raise HTTPException(404, unknown_name("LoRA", wanted.name, service.loras))
        service.switch_lora(wanted.name, wanted.scale)
        return {"name": wanted.name}

    return app


def start_page(app: FastAPI, here: str) -> str:
    """The routes in HTML, and a line of curl to begin with; it reads well without a browser, too.

    Args:
        app: the service.
        here: its address.
    """
    body = '{"prompt": "a person with red hair", "plan": "fast"}'
    curl = f"curl {here}/images -H 'content-type: application/json' -d '{body}' -o image.png"
    routes = [
        f"<li><code>{method} {route.path}</code> {escape(route.description, quote=False)}"
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]
    return "\n".join(
        (
            f'<!doctype html><html lang="en"><meta name="viewport" content="width=device-width">'
            f"<title>{app.title}</title>",
            f"<h1>{app.title}</h1>",
            f'<pre style="white-space: pre-wrap">{escape(curl, quote=False)}</pre>',
            f"<p>Plans: {', '.join(mmcache.presets())}.",
            *("<ul>", *routes, "</ul>"),
            f'<p><a href="{app.docs_url}">Try the routes, and what each takes</a>',
            "",
        )
    )
