"""Screenshots of the page in each of its states, at four widths, in light and dark, to be looked at.

python -m mmcache_demos.app.screenshots --out screenshots
"""

import argparse
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from mmcache_demos.app.browser import browser
from mmcache_demos.app.demo_tabs import DRAWING_TABS
from mmcache_demos.app.server import Server, serving

PATIENCE = 300_000  # ms: a clip takes a while on a busy machine
COLOURS = 256  # of a file: screenshots of flat colours lose nothing that is seen
AT_REST = 500  # ms until fonts, images and the editor's canvas are there
ONCE = 5_000  # ms until the line has wiped
SCHEMES = ("light", "dark")
IN_ITS_PLACE = ".mm-go { position: static !important }"  # on a whole page, not where the screen ends


class Size(NamedTuple):
    """A screen that the page is looked at with."""

    width: int
    height: int


SIZES = (Size(390, 844), Size(768, 1024), Size(1280, 800), Size(1920, 1080))


def first(page: Any) -> None:
    """What one sees without a click."""
    page.wait_for_timeout(ONCE)


def replay(page: Any) -> None:
    """The stored race, when it is over."""
    page.locator(".mm-race-go").locator("visible=true").first.click()
    page.wait_for_selector(".mm-race.played")


def fault(page: Any) -> None:
    """A mistake, said beside its field."""
    page.get_by_label("Prompt", exact=True).locator("visible=true").fill("")
    page.click("#go-text-to-image")
    page.wait_for_selector(".mm-fault", timeout=PATIENCE)


def racing(page: Any) -> None:
    """A run that goes on."""
    page.get_by_label("Prompt", exact=True).locator("visible=true").fill(DRAWING_TABS[0].task.prompt)
    page.click("#go-text-to-image")
    page.wait_for_function(
        "() => document.querySelectorAll('#progress-text-to-image .mm-growing img').length === 2",
        timeout=PATIENCE,
    )


def result(page: Any) -> None:
    """What came of it."""
    finish(page, "text-to-image")


def details(page: Any) -> None:
    """Everything that is one level down."""
    page.locator("#result-text-to-image .mm-details > summary").click()
    page.locator(".mm-expert button.label-wrap").locator("visible=true").first.click()


def tab_state(place: int) -> Callable[[Any], None]:
    """A tab after a comparison."""

    def state(page: Any) -> None:
        tab = DRAWING_TABS[place]
        open_tab(page, tab.title)
        page.wait_for_timeout(2 * AT_REST)
        page.click(f"#go-{tab.task.name}")
        finish(page, tab.task.name)

    return state


def explore(page: Any) -> None:
    """The tab "Explore"."""
    open_tab(page, "Explore")
    page.wait_for_selector(".mm-explored", timeout=PATIENCE)


def gallery(page: Any) -> None:
    """The tab "This visit"."""
    open_tab(page, "This visit")


# In this order, since each goes on from the one before it.
STATES: dict[str, Callable[[Any], None]] = {
    "first": first,
    "replay": replay,
    "fault": fault,
    "racing": racing,
    "result": result,
    "details": details,
    "inpaint": tab_state(1),
    "controlnet": tab_state(2),
    "video": tab_state(3),
    "explore": explore,
    "gallery": gallery,
}


def main() -> None:
    """Make them all."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the screenshots")
    parser.add_argument("--state", choices=list(STATES), action="append", help="which; all if none is given")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    with serving(Server(threads=chosen.threads)) as address, browser() as opened:
        for name, image in pictures(opened, address, chosen.state or list(STATES)):
            file = chosen.out / f"{name}.png"
            file.write_bytes(compressed(image))
            print(file, flush=True)


def pictures(opened: Any, address: str, wanted: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The wanted states on every screen, by names as "first-390-dark"."""
    with page_on(opened, address) as page:
        for name, state in STATES.items():
            if name not in wanted:
                continue
            page.set_viewport_size(SIZES[2]._asdict())
            state(page)
            for size in SIZES:
                page.set_viewport_size(size._asdict())
                page.evaluate("() => scrollTo(0, 0)")
                for scheme in SCHEMES:
                    page.evaluate(
                        f"() => document.body.classList.toggle('dark', {str(scheme == 'dark').lower()})"
                    )
                    page.wait_for_timeout(AT_REST)
                    whole = name not in ("first", "racing")
                    style = IN_ITS_PLACE if whole else None
                    picture = page.screenshot(full_page=whole, style=style)
                    yield f"{name}-{size.width}-{scheme}", bytes(picture)
                page.evaluate("() => document.body.classList.remove('dark')")


@contextmanager
def page_on(opened: Any, address: str) -> Iterator[Any]:
    """The page, opened by a visitor of its own."""
    context = opened.new_context(viewport=SIZES[2]._asdict(), color_scheme="light")
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.wait_for_selector(f"#go-{DRAWING_TABS[0].task.name}")
        yield page
    finally:
        context.close()


def finish(page: Any, task: str) -> None:
    """Wait for the result of a run."""
    page.wait_for_selector(f"#result-{task} .mm-result:not(.mm-stored)")
    page.wait_for_function("id => !document.querySelector(`#progress-${id} .mm-progress`)", arg=task)


def open_tab(page: Any, title: str) -> None:
    """Click on a tab."""
    page.get_by_role("tab", name=title, exact=True).first.click()


def compressed(picture: bytes) -> bytes:
    """A PNG with few colours."""
    found = io.BytesIO()
    whole = Image.open(io.BytesIO(picture)).convert("RGB")
    # Without means that settle, rare colours become those of their neighbours, and orange is brown.
    reduced = whole.quantize(COLOURS, Image.Quantize.MEDIANCUT, kmeans=3, dither=Image.Dither.NONE)
    reduced.save(found, "PNG", optimize=True)
    return found.getvalue()


if __name__ == "__main__":
    main()
