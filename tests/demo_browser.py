"""What tests of the demo's page do in a browser."""

from collections.abc import Iterator
from contextlib import contextmanager

# Scripts of a page draw 20 frames a second: without a GPU each frame is work for the processor.
FEWER_FRAMES = """{
    const next = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (draw) => setTimeout(() => next(draw), 50);
    window.cancelAnimationFrame = clearTimeout;
}"""
POLLING = 100  # ms between two looks; Playwright's own choice is a look at every frame
PATIENCE = 240_000  # ms; a busy machine is slow, and a test that waits fails for no other reason


@contextmanager
def opened_pages(context) -> Iterator:
    """Open pages in a context, each for a new visitor; the context keeps what they have in common to load.

    With `moving` the page may move by itself, as it does for most people.
    """
    pages = []

    def open_page(address, width=1280, height=900, moving=False):
        pages.append(context.new_page())
        if moving:
            pages[-1].emulate_media(reduced_motion="no-preference")
        pages[-1].set_default_timeout(PATIENCE)
        pages[-1].set_viewport_size({"width": width, "height": height})
        pages[-1].goto(address)
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


def expert(page):
    """Open what is one level down, where it is not open already."""
    plan = page.get_by_label("Plan", exact=True).locator("visible=true")
    if not plan.count():
        page.locator(".mm-expert button.label-wrap").locator("visible=true").first.click()
        plan.first.wait_for()


def choose(page, label, value):
    """Pick an entry of one of the open tab's lists."""
    page.get_by_label(label, exact=True).locator("visible=true").first.click()
    page.get_by_role("option", name=value, exact=True).locator("visible=true").first.click()


def wait_until(page, condition, arg=None):
    """Wait until a function of the page's own language gives true."""
    return page.wait_for_function(condition, arg=arg, polling=POLLING)
