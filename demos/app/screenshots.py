"""Screenshots of the page, at a desk and on a phone, in light and dark, to be looked at.

python -m mmcache_demos.app.screenshots --out docs/demo
"""

import argparse
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from mmcache_demos.app.browser import browser
from mmcache_demos.app.demo_tabs import DRAWING_TABS
from mmcache_demos.app.server import Server, serving

PATIENCE = 300_000  # ms: a clip takes a while on a busy machine
COLOURS = 128  # of a file: screenshots of flat colours lose nothing that is seen
AT_REST = 700  # ms until fonts, pictures and the editor's canvas are there
EXPLORE, GALLERY = ("explore", "Explore"), ("gallery", "This visit")


class Screen(NamedTuple):
    """What the page is looked at with."""

    name: str
    width: int
    height: int
    scheme: str


SCREENS = (
    Screen("desktop-light", 1280, 900, "light"),
    Screen("desktop-dark", 1280, 900, "dark"),
    Screen("phone-light", 390, 844, "light"),
    Screen("phone-dark", 390, 844, "dark"),
)


def main() -> None:
    """Make them all."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    names = [screen.name for screen in SCREENS]
    parser.add_argument("--screen", choices=names, action="append", help="which; all if none is given")
    tabs = [*(tab.task.name for tab in DRAWING_TABS), EXPLORE[0], GALLERY[0]]
    parser.add_argument("--tab", choices=tabs, action="append", help="which; all if none is given")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    with serving(Server(threads=chosen.threads)) as address, browser() as opened:
        for screen in (screen for screen in SCREENS if screen.name in (chosen.screen or names)):
            for name, picture in pictures(opened, address, screen, chosen.tab or tabs):
                file = chosen.out / f"{name}-{screen.name}.png"
                file.write_bytes(compressed(picture))
                print(file)


def pictures(opened: Any, address: str, screen: Screen, wanted: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The wanted tabs on one screen, after a comparison where they draw."""
    with page_on(opened, address, screen) as page:
        for tab in (tab for tab in DRAWING_TABS if tab.task.name in wanted):
            name = tab.task.name
            open_tab(page, tab.title)
            page.wait_for_timeout(AT_REST)
            page.click(f"#go-{name}")
            page.wait_for_selector(f"#result-{name} .mm-result", timeout=PATIENCE)
            yield name, whole_page(page)
        if EXPLORE[0] in wanted:
            open_tab(page, EXPLORE[1])
            page.wait_for_selector(".mm-explored", timeout=PATIENCE)
            page.click("#measure-similar")
            page.wait_for_selector("#explore-similar img", timeout=PATIENCE)
            yield EXPLORE[0], whole_page(page)
        if GALLERY[0] in wanted:
            open_tab(page, GALLERY[1])
            yield GALLERY[0], whole_page(page)


@contextmanager
def page_on(opened: Any, address: str, screen: Screen) -> Iterator[Any]:
    """The page, opened by a visitor of its own."""
    size: Any = {"width": screen.width, "height": screen.height}
    context = opened.new_context(viewport=size, color_scheme=screen.scheme)
    try:
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector(f"#go-{DRAWING_TABS[0].task.name}", timeout=PATIENCE)
        yield page
    finally:
        context.close()


def open_tab(page: Any, title: str) -> None:
    """Click on a tab; on narrow screens it may be in the menu behind the dots."""
    tab = page.get_by_role("tab", name=title, exact=True).first
    if tab.is_visible():
        tab.click()
        return
    page.locator(".overflow-menu > button").click()
    page.locator(".overflow-dropdown button", has_text=title).click()


def whole_page(page: Any) -> bytes:
    """From top to bottom, once everything is at rest."""
    page.wait_for_timeout(AT_REST)
    return bytes(page.screenshot(full_page=True))


def compressed(picture: bytes) -> bytes:
    """A PNG with few colours."""
    found = io.BytesIO()
    reduced = Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    reduced.save(found, "PNG", optimize=True)
    return found.getvalue()


if __name__ == "__main__":
    main()
