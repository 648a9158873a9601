"""What is looked at before a server starts: the address that it listens at, and the models that it offers."""

import queue
import socket
import threading
from typing import TYPE_CHECKING

from mmcache.errors import shown

if TYPE_CHECKING:
    from mmcache_demos.app.models import Offer

PATIENCE = 5.0  # seconds until a name has to be known


def check_address(host: str, port: int | None) -> None:
    """Find out whether this machine can listen there.

    Raises:
        ValueError: the host is no name or address of this machine.
        OSError: the port is taken.
    """
    wanted = "wanted a name or address of this machine, as 127.0.0.1 or 0.0.0.0"
    found = looked_up(host)
    if isinstance(found, OSError):
        raise ValueError(f"--host {shown(host)}: {found.strerror or found}; {wanted}")
    if not found:
        raise ValueError(f"--host {shown(host)}: the name was not found within {PATIENCE:g} s; {wanted}")
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((address[0], 0))
        except OSError as error:
            raise ValueError(f"--host {shown(host)}: {error.strerror}; {wanted}") from None
    if port is not None:
        with socket.socket(family, kind, protocol) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind((address[0], port))
            except OSError as error:
                words = f"port {port} of {host}: {error.strerror}; choose another with --port"
                raise OSError(error.errno, words) from None


def looked_up(host: str) -> list[tuple[int, int, int, str, tuple[str, int]]] | OSError:
    """The addresses of a name; none if nobody knows within the patience, for a resolver may wait longer."""
    answers: queue.SimpleQueue[list[tuple[int, int, int, str, tuple[str, int]]] | OSError]
    answers = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM))  # type: ignore[arg-type]
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=PATIENCE)
    except queue.Empty:
        return []


def check_models(offer: "Offer") -> None:
    """Find out whether the models are there; only their configs are read.

    Raises:
        ModelNotFoundError: one is not, or it has no denoiser that mmcache knows.
    """
    from mmcache.tools.inspecting.from_config import denoisers_from_config

    for model in offer.models:
        denoisers_from_config(model)
