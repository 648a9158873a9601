"""The service over HTTP, by FastAPI."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

import mmcache
from mmcache_demos.serving.service import ImageRequest, ImageService, RequestTimeoutError


class Wanted(BaseModel):
    """The body of a request for an image."""

    prompt: str = Field(min_length=1, max_length=1000)
    plan: str = "balanced"
    steps: int = Field(50, ge=1, le=200)
    seed: int = Field(0, ge=0, lt=2**63)
    seconds: float = Field(60.0, gt=0, le=600)


class Lora(BaseModel):
    """The body of a switch to another LoRA; none without a name."""

    name: str | None = None
    scale: float = Field(1.0, ge=-10, le=10)


class Caching(BaseModel):
    """The body of a roll-back (`enabled` false), or of its end."""

    enabled: bool


def make_app(service: ImageService) -> FastAPI:
    """The routes of a service; the last two are for those who run it, not for its users."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(title="mmcache: images", lifespan=lifespan)

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
            raise HTTPException(
                404, f"unknown LoRA {wanted.name!r}: {', '.join(service.loras) or 'there is none'}"
            )
        service.switch_lora(wanted.name, wanted.scale)
        return {"name": wanted.name}

    return app
