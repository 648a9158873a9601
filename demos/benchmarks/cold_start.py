"""python -m mmcache_demos.benchmarks.cold_start space/app.py: seconds until the first comparison.

From the start of the process to the page's first answer, to the page in a browser, and to the result of a
comparison with the page's own settings. Measure on a machine that does nothing else.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from urllib.error import URLError
from urllib.request import urlopen

import typer

from mmcache_demos.app.browser import browser

PATIENCE = 300  # seconds
BUTTON, RESULT, PROGRESS = (
    "#go-text-to-image",
    "#result-text-to-image",
    "#progress-text-to-image .mm-progress",
)
CHANGED = """([selector, before]) => {
    const one = document.querySelector(selector);
    return one.querySelector('.mm-result') && one.innerHTML !== before;
}"""


@contextmanager
def started(app: Path) -> Iterator[str]:
    """Run the Space in a process of its own within the block.

    Yields:
        Its address, at once.
    """
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    told = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)}
    command = [sys.executable, app.name]
    running = subprocess.Popen(command, cwd=app.parent, env=os.environ | told, stdout=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        running.terminate()
        running.wait(PATIENCE)


def wait_for(address: str) -> None:
    """Return once the page answers.

    Raises:
        TimeoutError: it does not.
    """
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            urlopen(address, timeout=PATIENCE).close()
            return
        except URLError:
            time.sleep(0.05)
    raise TimeoutError(f"no answer from {address} in {PATIENCE} seconds")


def main(app: Annotated[Path, typer.Argument(help="The Space's app.py.")] = Path("space/app.py")) -> None:
    """Start it cold and compare once."""
    with browser() as opened:
        page = opened.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        began = time.monotonic()

        def say(what: str) -> None:
            print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)

        with started(app) as address:
            wait_for(address)
            say("the page answers")
            page.goto(address)
            page.wait_for_selector(BUTTON, state="visible")
            say("the page is there")
            before = page.locator(RESULT).inner_html()
            page.click(BUTTON)
            page.wait_for_function(CHANGED, arg=[RESULT, before])
            page.wait_for_selector(PROGRESS, state="detached")
            say("the first comparison is there")


if __name__ == "__main__":
    typer.run(main)
