"""The demo in a real browser: each tab draws, the wipe moves, Stop stops, and visitors are apart."""

import io
import mimetypes
import re

import pytest
from PIL import Image

from mmcache_demos.app.browser import browser, why_no_browser
from mmcache_demos.app.demo_tabs import DRAWING_TABS
from mmcache_demos.app.screenshots import open_tab
from mmcache_demos.app.server import Server, serving

pytest.importorskip("gradio")
pytestmark = pytest.mark.skipif(bool(why_no_browser()), reason=why_no_browser())

STEPS = 10
PATIENCE = 240_000  # ms; a busy machine is slow, and a test that waits fails for no other reason


@pytest.fixture(scope="module")
def address():
    with serving(Server(threads=1)) as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture
def visit(chromium, address):
    """Opens the page as a new visitor, at the settings of a link."""
    contexts = []

    def open_page(tab="text-to-image", width=1280, **settings):
        context = chromium.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        query = "&".join(f"{name}={value}" for name, value in {"steps": STEPS, **settings}.items())
        page.goto(f"{address}?tab={tab}&{query}")
        page.wait_for_selector(f"#go-{tab}", state="visible")
        # The link is read after the page has come; the plan's strip tells the steps.
        steps = settings.get("steps", STEPS)
        page.wait_for_function(
            "([steps]) => [...document.querySelectorAll('.mm-plan')].some(one => "
            "one.checkVisibility() && one.textContent.includes(` of ${steps} steps`))",
            arg=[steps],
        )
        return page

    yield open_page
    for context in contexts:
        context.close()


def compare(page, tab="text-to-image"):
    """Press the button; the result that came of it."""
    before = page.locator(f"#result-{tab}").inner_html()
    page.click(f"#go-{tab}")
    page.wait_for_function(
        "([id, before]) => { const one = document.getElementById(id); "
        "return one.querySelector('.mm-result') && one.innerHTML !== before }",
        arg=[f"result-{tab}", before],
    )
    page.wait_for_function("id => !document.querySelector(id + ' .mm-progress')", arg=f"#progress-{tab}")
    return page.locator(f"#result-{tab} .mm-result")


def figure(result, name):
    return result.locator(f"[data-figure={name}] dd").first.inner_text()


def has_loaded(picture):
    picture.scroll_into_view_if_needed()
    return picture.evaluate("one => one.decode().then(() => one.naturalWidth > 0)")


@pytest.mark.parametrize(
    "tab", [tab for tab in DRAWING_TABS if not tab.task.generates_video], ids=lambda t: t.title
)
def test_each_tab_shows_both_pictures_and_their_difference(tab, visit):
    name = tab.task.name
    result = compare(visit(name), name)
    for panel in ("full", "cached", "difference"):
        assert has_loaded(result.locator(f"[data-panel={panel}] img")), panel
    if tab.task.inputs:
        assert has_loaded(result.locator("[data-panel=given] img"))
    assert f" of {STEPS}" in figure(result, "steps")
    assert len(result.locator(".mm-downloads a").all()) == 5


def test_two_clips_play_in_step(visit):
    result = compare(visit("text-to-video", frames=4), "text-to-video")
    clips = result.locator("video")
    assert clips.count() == 2
    assert len(result.locator(".mm-curve circle").all()) == 4
    result.locator(".mm-play").click()
    places = "all => all.map(one => [one.paused, one.currentTime])"
    result.page.wait_for_function("() => document.querySelector('video').currentTime > 0.1")
    (full_paused, full), (cached_paused, cached) = clips.evaluate_all(places)
    assert not full_paused
    assert not cached_paused
    assert abs(full - cached) < 1 / 8, "less than a frame apart"
    result.locator(".mm-play").click()
    seek = result.locator(".mm-bar input")
    seek.evaluate("one => { one.value = 500; one.dispatchEvent(new Event('input', { bubbles: true })) }")
    (full_paused, full), (cached_paused, cached) = clips.evaluate_all(places)
    assert full_paused
    assert cached_paused
    assert full == cached > 0.1


def test_the_wipe_moves_by_mouse_and_by_keyboard(visit):
    result = compare(visit())
    wipe = result.locator(".mm-frame input")
    shown = "one => getComputedStyle(one).clipPath"
    assert wipe.input_value() == "50"
    wipe.scroll_into_view_if_needed()
    box = wipe.bounding_box()
    wipe.click(position={"x": box["width"] * 0.8, "y": 20})
    at = float(wipe.input_value())
    assert 75 <= at <= 85
    right = float(re.findall(r"[\d.]+", result.locator(".mm-over").evaluate(shown).split(",")[0])[1])
    assert right == pytest.approx(100 - at, abs=0.1)
    wipe.press("ArrowLeft")
    assert float(wipe.input_value()) == at - 1


def test_stop_ends_a_run_and_the_next_one_is_right(visit):
    page = visit(steps=100)
    page.click("#go-text-to-image")
    page.wait_for_selector("#progress-text-to-image >> text=/step [0-9]+ of 100/")
    page.click("#stop-text-to-image")
    page.wait_for_selector("#progress-text-to-image >> text=Stopped.")
    assert not page.locator("#result-text-to-image .mm-result").count()
    page.wait_for_selector("#stop-text-to-image[disabled]")
    again = compare(visit(seed=1))
    page.goto(page.url.replace("steps=100", f"steps={STEPS}&seed=1"))
    page.wait_for_selector("#go-text-to-image", state="visible")
    page.wait_for_function(f"() => document.querySelector('.mm-plan')?.textContent.includes(' of {STEPS} ')")
    assert figure(compare(page), "PSNR") == figure(again, "PSNR")


def choose(page, label, value):
    """Pick an entry of one of the open tab's lists."""
    page.get_by_label(label, exact=True).locator("visible=true").first.click()
    page.get_by_role("option", name=value, exact=True).locator("visible=true").first.click()


def test_another_plan_runs_the_cached_side_alone(visit):
    page = visit()
    first = compare(page)
    assert first.get_attribute("data-kept") == "false"
    psnr = figure(first, "PSNR")
    choose(page, "Plan", "turbo")
    page.wait_for_selector(".mm-plan >> text=/Uniform.interval=8/")
    second = compare(page)
    assert second.get_attribute("data-kept") == "true"
    assert "Only the cached side was run" in second.inner_text()
    assert figure(second, "PSNR") != psnr
    page.get_by_role("tab", name="This visit").click()
    past = page.locator("#gallery .mm-past")
    assert past.count() == 2
    past.nth(1).locator("> summary").click()
    assert has_loaded(past.nth(1).locator("[data-panel=full] img"))


def test_a_plan_of_ones_own(visit):
    page = visit()
    choose(page, "Plan", "my own")
    choose(page, "Full steps (policy)", "these steps")
    page.get_by_label("Counted from 0").locator("visible=true").fill("0, 5")
    page.wait_for_selector(f".mm-plan >> text=/2 of {STEPS} steps in full/")
    assert figure(compare(page), "steps").startswith(f"2 of {STEPS}")


NO_PICTURES = {
    "text.png": b"I am not a picture",
    "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "clip.mp4": b"\x00\x00\x00\x18ftypmp42",
}


@pytest.mark.parametrize("tab", ["inpaint", "controlnet"])
def test_bad_uploads_get_a_message_and_change_nothing(tab, visit):
    page = visit(tab)
    for name, content in NO_PICTURES.items():
        upload(page, name, content)
        said = toast(page)
        assert re.search("is not an image|nvalid file type", said), name
        assert "/tmp" not in said
    assert has_loaded(compare(page, tab).locator("[data-panel=given] img")), "the example is still there"


def toast(page):
    """What the page says; then it is closed."""
    message = page.locator(".toast-body").first
    message.wait_for()
    said = message.inner_text()
    page.locator(".toast-close").first.click()
    message.wait_for(state="detached")
    return said


def upload(page, name, content):
    button = page.get_by_role("button", name=re.compile("Upload a picture|Edges of a picture"))
    with page.expect_file_chooser() as chooser:
        button.locator("visible=true").click()
    kind = mimetypes.guess_type(name)[0]
    chooser.value.set_files({"name": name, "mimeType": kind, "buffer": content})


def test_a_wide_picture_is_refused_and_a_good_one_is_drawn_on(visit):
    def png(width, height):
        file = io.BytesIO()
        Image.new("RGB", (width, height), "#3a7d44").save(file, "PNG")
        return file.getvalue()

    page = visit("controlnet")
    upload(page, "wide.png", png(20_000, 50))
    assert "wide.png: is 20000x50; at most 4 times as long as narrow" in toast(page)
    page = visit("inpaint")
    upload(page, "green.png", png(96, 64))
    page.wait_for_timeout(1500)
    page.click("#go-inpaint")
    page.locator(".toast-body >> text=Nothing is painted").wait_for()


def test_two_visitors_at_once_get_their_own(visit):
    pages = {prompt: visit(prompt=prompt) for prompt in ("a red hat", "a blue hat")}
    for page in pages.values():
        page.click("#go-text-to-image")
    for prompt, page in pages.items():
        page.wait_for_selector("#result-text-to-image .mm-result")
        assert page.locator(".mm-over").get_attribute("alt") == f"Full: {prompt}"
        page.get_by_role("tab", name="This visit").click()
        assert page.locator("#gallery .mm-past").count() == 1
        assert prompt in page.locator("#gallery .mm-past > summary").inner_text()
    full = [page.locator(".mm-over").first.get_attribute("src") for page in pages.values()]
    assert full[0] != full[1]


def test_an_example_works_at_one_click(visit):
    page = visit()
    page.get_by_role("button", name="pink afro").locator("visible=true").first.click()
    page.wait_for_selector("#result-text-to-image .mm-result")
    assert "pink afro" in page.locator(".mm-over").get_attribute("alt")


def test_explore_shows_the_u_and_marks_the_branch(visit):
    page = visit()
    page.get_by_role("tab", name="Explore").click()
    page.wait_for_selector(".mm-explored")
    assert has_loaded(page.locator(".mm-u img"))
    assert page.locator(".mm-scroll tr[aria-current] th").inner_text() == "0"
    assert "18 of 50 steps in full" in page.locator("#explore-strip").inner_text()


def test_the_link_brings_the_settings_back(visit):
    page = visit("controlnet", seed=7)
    page.get_by_role("button", name="Copy link to these settings").locator("visible=true").click()
    page.wait_for_function("() => location.search.includes('seed=7')")
    assert "tab=controlnet" in page.url
    assert f"steps={STEPS}" in page.url


def test_a_link_that_asks_for_too_much_is_told(chromium, address):
    with chromium.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{address}?steps=5000")
        assert "steps: 5000 asked for" in toast(page)


def test_everything_has_a_name_and_fits_a_phone(visit):
    page = visit(width=390)
    for tab in DRAWING_TABS:
        open_tab(page, tab.title)
        page.wait_for_selector(f"#go-{tab.task.name}", state="visible")
        page.wait_for_timeout(500)
        assert page.evaluate("() => document.scrollingElement.scrollWidth") <= 390, tab.title
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("input, textarea, select, button")]
                .filter(one => one.checkVisibility() && one.type !== "file")
                .filter(one => !one.labels?.length && !one.getAttribute("aria-label") && !one.title
                               && !one.getAttribute("aria-labelledby") && !one.innerText?.trim())
                .map(one => one.outerHTML.slice(0, 200))"""
        )
        assert not nameless, tab.title
