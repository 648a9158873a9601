"""A real browser that drives the page: Debian's Chromium, through Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmcache.errors import MissingExtraError

# The first is the same browser without the parts that draw windows: a third less work.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# Nothing but the page itself is to use the network or the GPU.
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def why_no_browser() -> str:
    """Why there is none, in a sentence; "" where there is one."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "there is no Playwright: pip install playwright"
    if not any(map(shutil.which, NAMES)):
        return f"there is no browser ({', '.join(NAMES)}): apt-get install -y chromium"
    return ""


@contextmanager
def browser() -> Iterator[Any]:
    """Playwright's browser, without a window.

    Raises:
        MissingExtraError: there is none; the message says how to get it.
    """
    if reason := why_no_browser():
        raise MissingExtraError(reason)
    from playwright.sync_api import sync_playwright

    path = next(found for name in NAMES if (found := shutil.which(name)))
    # Chromium's sandbox does not work for root.
    sandbox = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *sandbox])
        try:
            yield opened
        finally:
            opened.close()
