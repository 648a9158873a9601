"""The page as a server: where it listens, who may come in, and that nothing of a visit stays."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mmcache.errors import MissingExtraError
from mmcache_demos.app.connections import asking_within
from mmcache_demos.app.lifetime import ended_by_sigterm, own_folder
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.process_settings import files_of_gradio_in, pictures_of_at_most
from mmcache_demos.app.start_checks import check_address, check_models

if TYPE_CHECKING:
    import gradio

    from mmcache_demos.app.models import Offer
    from mmcache_demos.app.service import Service

LOOPBACK = "127.0.0.1"
HERE = Path(__file__).parent
CONNECTIONS = 10  # of a visitor: a page holds two open, and loads its parts side by side
SWEEP = 600  # seconds between two looks for files that nobody uses any more
PATIENCE = 4.0  # seconds for the step that a run is in when the server ends; supervisors often wait for 10


@dataclass(frozen=True)
class Server:
    """How the page is served.

    Attributes:
        host: the address it listens at; LOOPBACK is reached from this machine alone.
        port: None for the first free one from 7860 on.
        share: whether gradio opens a tunnel, so that anyone who knows its address can come in.
        auth: user and password that everyone has to give; None lets everyone in who reaches it.
        offer: the models; None for the shipped miniatures.
        plans: further plan files to choose from, by name.
        limits: how much a visitor may ask for.
        threads: of the processor; None for torch's own choice.
        framed_by: origins, such as "https://huggingface.co", whose pages may show this one in a frame.
    """

    host: str = LOOPBACK
    port: int | None = None
    share: bool = False
    auth: tuple[str, str] | None = None
    offer: "Offer | None" = None
    plans: Mapping[str, Path] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    threads: int | None = None
    framed_by: tuple[str, ...] = ()


def require_gradio() -> None:
    """Find out beforehand whether the page can be built and its figures measured, without importing it all.

    Raises:
        MissingExtraError: a package is missing.
    """
    from mmcache.tools.media.ffmpeg import require_ffmpeg

    for package in ("gradio", "matplotlib", "torchmetrics"):
        if find_spec(package) is None:
            raise MissingExtraError(
                f'the demo needs {package}, which is not installed: pip install "mmcache-demos[app]"'
            )
    require_ffmpeg()


def page_of(server: Server, folder: Path | None = None) -> "gradio.Blocks":
    """The page of a server.

    Args:
        folder: for visitors' files; None for one of gradio's own.
    """
    from gradio.utils import get_upload_folder

    from mmcache_demos.app.page import build

    return build(service_of(server, folder or Path(get_upload_folder()) / "visits"))


def service_of(server: Server, folder: Path) -> "Service":
    """What the page of a server asks."""
    from mmcache_demos.app.models import Offer
    from mmcache_demos.app.plan_choice import named_plans
    from mmcache_demos.app.service import Service

    return Service(server.offer or Offer(), named_plans(server.plans), server.limits, folder)


def start_background(service: "Service", warm: bool) -> None:
    """Prepare for visitors, and look every ten minutes for visits that nobody returns to, until its end."""

    def prepare() -> None:
        service.prepare(warm)

    def sweep() -> None:
        while not service.over.wait(SWEEP):
            service.visits.forget_idle()

    for work in (prepare, sweep):
        threading.Thread(target=work, daemon=True).start()


class Served(NamedTuple):
    """A page that is served."""

    address: str
    service: "Service"


@contextmanager
def serving(server: Server) -> Iterator[str]:
    """Serve the page within the block; see `served`.

    Yields:
        The page's address.
    """
    with served(server) as one:
        yield one.address


@contextmanager
def served(server: Server, patience: float = -1, warm: bool = False) -> Iterator[Served]:
    """Serve the page within the block, in threads of its own; its files are deleted at the end.

    Args:
        patience: seconds for what runs at the end; see `Service.end`.
        warm: load the first model meanwhile. diffusers changes torch's own classes while it loads, so that
            nothing else in the process may build a model then.

    Raises:
        MissingExtraError: a package is missing.
        ModelNotFoundError: a model is not there.
        ValueError: the host is none of this machine.
        OSError: the port is taken.
    """
    require_gradio()
    check_address(server.host, server.port)
    if server.offer is not None:
        check_models(server.offer)
    import torch

    from mmcache_demos.app.page import build

    if server.threads is not None:
        torch.set_num_threads(server.threads)
    with (
        own_folder() as folder,
        files_of_gradio_in(str(folder)),
        pictures_of_at_most(server.limits.upload_pixels),
    ):
        service = service_of(server, folder / "visits")
        page = build(service)
        try:
            _, local, shared = page.launch(**how_to_launch(server, folder))
            hang_up_on_the_slow(page.server, server.limits)
            start_background(service, warm)
            yield Served(shared or local, service)
        finally:
            service.stop_all()
            page.close(verbose=False)
            service.end(patience)


def hang_up_on_the_slow(running: Any, limits: Limits) -> None:
    """Bound how long a connection may take to ask, and how many there are.

    Args:
        running: uvicorn's server; it reads these settings for each connection.
    """
    config = running.config
    config.http_protocol_class = asking_within(config.http_protocol_class, limits.request_seconds)
    config.limit_concurrency = CONNECTIONS * limits.visits


def how_to_launch(server: Server, folder: Path) -> dict[str, Any]:
    """What gradio's `launch` is told; whatever it would open or send of its own accord is off."""
    from starlette.middleware import Middleware

    from mmcache_demos.app.gate import Gate
    from mmcache_demos.app.own_files import OwnFiles
    from mmcache_demos.app.theme import theme

    kept_seconds = server.limits.idle_seconds + 2 * SWEEP
    gate = Middleware(
        Gate,  # type: ignore[arg-type]
        limits=server.limits,
        folder=folder,
        kept_seconds=kept_seconds,
        framed_by=server.framed_by,
    )
    return {
        "app_kwargs": {"middleware": [gate, Middleware(OwnFiles)]},  # type: ignore[arg-type]
        "server_name": server.host,
        "server_port": server.port,
        "share": server.share,
        "auth": server.auth,
        "max_file_size": server.limits.upload_bytes,
        "theme": theme(),
        # Not as `css`: gradio rewrites that, and loses fonts and media queries on the way.
        "head": f"<style>{(HERE / 'page.css').read_text(encoding='utf-8')}</style>",
        "js": (HERE / "page.js").read_text(encoding="utf-8"),
        "prevent_thread_lock": True,
        "quiet": True,
        "show_error": False,
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "mcp_server": False,
        "pwa": False,
        "allowed_paths": [],
    }


def launch(server: Server) -> None:
    """Serve the page until Ctrl-C, or until the process is told to end (SIGTERM).

    A step that lasts longer than PATIENCE is not waited for: the process ends at once then.

    Raises:
        MissingExtraError: a package is missing.
        OSError: the port is taken.
    """
    service: Service | None = None
    try:
        with ended_by_sigterm(), served(server, PATIENCE, warm=True) as one:
            service = one.service
            print(f"The demo is at {one.address} (Ctrl-C ends it)", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("ended; visitors' files are deleted", flush=True)
    if service is not None and not service.at_rest:
        os._exit(0)
