"""Runs of the demo in a real browser: both images grow, Stop stops, what was compared stays."""

import contextlib
import io
import mimetypes
import re
import time
from functools import cache, partial

import pytest
import torch
from PIL import Image

from mmcache_demos.app.browser import why_no_browser
from mmcache_demos.app.demo_tabs import DRAWING_TABS
from mmcache_demos.app.server import Server, serving
from tests.demo_browser import PATIENCE, choose, expert, opened_pages, wait_until
from tests.demo_orders import PIPES

pytest.importorskip("gradio")
sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.skipif(bool(why_no_browser()), reason=why_no_browser())

STEPS = 10
ON_SCREEN = """selector => {
    const { top } = document.querySelector(selector).getBoundingClientRect();
    return 0 <= top && top < innerHeight;
}"""
SLOW = 0.1  # seconds that a full step takes at least, where a test looks at a run that goes on


class PacedConv(torch.nn.Conv2d):
    """A layer that may take some time. It is no hook, since a deep layer with a hook runs at every step.

    Attributes:
        seconds: of each call.
    """

    seconds = 0.0

    def forward(self, *args):
        time.sleep(PacedConv.seconds)
        return super().forward(*args)


@pytest.fixture
def slowly(monkeypatch):
    """Full steps are slow, cached ones are not."""
    monkeypatch.setattr(PacedConv, "seconds", SLOW)


def tiny_miniature(name, **options):
    """A tiny random pipeline in the place of a miniature."""
    pipe = PIPES[name]()
    if name == "text-to-image":
        pipe.unet.mid_block.resnets[0].conv1.__class__ = PacedConv
    return pipe


@pytest.fixture(scope="module")
def address():
    """A server of tiny pipelines; tests/test_space.py compares with a trained one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmcache_demos.app.models.load_miniature", tiny_miniature)
        with serving(Server(threads=1)) as address:
            yield address


def visited(opened, address, tab="text-to-image", width=1280, moving=False, **settings):
    """The page at the settings of a link."""
    query = "&".join(f"{name}={value}" for name, value in {"steps": STEPS, **settings}.items())
    page = opened(f"{address}?tab={tab}&{query}", width, moving=moving)
    page.wait_for_selector(f"#go-{tab}", state="visible")
    settled(page, settings.get("steps", STEPS))
    return page


@pytest.fixture
def visit(context, address):
    """Opens the page as a new visitor, at the settings of a link."""
    with opened_pages(context) as opened:
        yield partial(visited, opened, address)


@pytest.fixture(scope="module")
def same_visit(context, address):
    """A tab's page, opened once for the tests that can begin with whatever another has left there."""
    with opened_pages(context) as opened:
        yield cache(partial(visited, opened, address))


def settled(page, steps=STEPS):
    """The link is read after the page has come; what stands below the slider tells the steps."""
    wait_until(
        page,
        "steps => [...document.querySelectorAll('.mm-said')].some(one => "
        "one.checkVisibility() && one.textContent.includes(` of ${steps} steps`))",
        arg=steps,
    )


def compare(page, tab="text-to-image"):
    """Press the button; the result that came of it."""
    before = page.locator(f"#result-{tab}").inner_html()
    page.click(f"#go-{tab}")
    wait_until(
        page,
        "([id, before]) => { const one = document.getElementById(id); "
        "return one.querySelector('.mm-result:not(.mm-stored)') && one.innerHTML !== before }",
        arg=[f"result-{tab}", before],
    )
    wait_until(page, "id => !document.querySelector(id + ' .mm-progress')", arg=f"#progress-{tab}")
    return page.locator(f"#result-{tab} .mm-result")


def figure(result, name):
    return result.locator(f"[data-figure={name}] dd").first.text_content()


def has_loaded(picture):
    """Also an image that waits until it is looked at."""
    picture.evaluate("one => { one.closest('details')?.setAttribute('open', ''); one.loading = 'eager' }")
    return picture.evaluate("one => one.decode().then(() => one.naturalWidth > 0)")


def check_images(result, *more):
    """Every panel has its image, and everything can be downloaded."""
    for panel in ("full", "cached", "difference", *more):
        assert has_loaded(result.locator(f"[data-panel={panel}] img")), panel
    assert f" of {STEPS}" in figure(result, "steps")
    assert len(result.locator(".mm-downloads a").all()) == 5


def test_a_tab_shows_both_pictures_and_their_difference(same_visit):
    check_images(compare(same_visit()))


# Which frame of the file each canvas shows, at every frame that the browser draws, while the clip plays.
FRAMES_SHOWN = """async (place, [frames, seconds]) => {
    const video = place.querySelector("video");
    const canvases = [...place.querySelectorAll("canvas")];
    const sharp = canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const known = canvases.map(() => []);
    video.pause();
    for (let frame = 0; frame < frames; frame++) {
        const there = new Promise(done => {
            video.requestVideoFrameCallback(done); // after the page's own
            setTimeout(done, 500); // it shows this frame already
        });
        video.currentTime = (frame + 0.5) * video.duration / frames;
        await there;
        canvases.forEach((canvas, side) => known[side].push(sharp(canvas)));
    }
    const apart = (a, b) => a.reduce((sum, value, place) => sum + Math.abs(value - b[place]), 0);
    const shown = (canvas, side) => {
        const now = sharp(canvas);
        const distances = known[side].map(one => apart(now, one));
        return distances.indexOf(Math.min(...distances));
    };
    await video.play();
    const found = [];
    for (const began = performance.now(); performance.now() - began < 1000 * seconds;) {
        await new Promise(requestAnimationFrame);
        found.push(canvases.map(shown));
    }
    return found;
}"""


def test_two_clips_play_by_themselves_in_step(visit):
    page = visit("text-to-video", frames=4, moving=True)
    playing = "() => document.querySelector('#result-text-to-video video').currentTime > 0.1"
    wait_until(page, playing)  # the stored clips, without a click
    result = compare(page, "text-to-video")
    assert len(result.locator(".mm-curve circle").all()) == 4
    wait_until(page, playing)
    clip, seek = result.locator("video"), result.locator(".mm-bar input")
    states = "one => [one.paused, one.muted, one.loop]"
    assert clip.evaluate(states) == [False, True, True]
    assert result.locator(".mm-play").inner_text() == "Pause"
    shown = result.locator(".mm-wipe").evaluate(FRAMES_SHOWN, [4, 4])
    assert len(shown) > 20
    assert {tuple(pair) for pair in shown} == {(frame, frame) for frame in range(4)}
    seek.evaluate("one => { one.value = 600; one.dispatchEvent(new Event('input', { bubbles: true })) }")
    assert clip.evaluate(states) == [True, True, True]
    assert clip.evaluate("one => one.currentTime / one.duration") == pytest.approx(0.6, abs=0.01)
    result.locator(".mm-play").press("Enter")
    wait_until(page, "() => !document.querySelector('#result-text-to-video .mm-result video').paused")


def test_clips_wait_for_who_wants_nothing_to_move_and_show_a_frame(visit):
    page = visit("text-to-video")
    drawn = "one => one.getContext('2d').getImageData(64, 64, 1, 1).data[3]"
    canvas = page.locator("#result-text-to-video .mm-stored canvas").first
    wait_until(page, "() => document.querySelector('#result-text-to-video video').readyState > 1")
    assert canvas.evaluate(drawn) == 255
    assert page.locator("#result-text-to-video video").evaluate("one => one.paused && !one.currentTime")


def test_the_wipe_moves_by_mouse_and_by_keyboard(same_visit):
    result = same_visit().locator("#result-text-to-image .mm-result")
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


# Looks at each state of a run as it comes, since a state may be gone before a test can ask for it.
WATCH_GROWTH = """() => {
    const progress = document.getElementById("progress-text-to-image");
    const look = () => {
        const frames = [...progress.querySelectorAll(".mm-growing")];
        const images = progress.querySelectorAll(".mm-growing img").length;
        const sizes = frames.map((one) => `${one.offsetWidth}x${one.offsetHeight}`).join();
        if (frames.length && !images) seen.empty = sizes;
        if (images !== 2) return;
        seen.filled = sizes;
        const { top } = frames[0].getBoundingClientRect();
        seen.onScreen ||= 0 <= top && top < innerHeight;
        seen.resultHidden = !document.querySelector("#result-text-to-image .mm-result").checkVisibility();
        seen.oneFinished ||= /The cached run is finished. The full run is at/.test(progress.textContent);
    };
    window.seen = {};
    new MutationObserver(look).observe(progress, { childList: true, subtree: true, characterData: true });
}"""


def test_both_images_grow_at_once_and_stay(visit, slowly):
    page = visit(steps=16, width=390, moving=True)
    page.evaluate(WATCH_GROWTH)
    page.click("#go-text-to-image")
    page.wait_for_selector("#result-text-to-image .mm-result:not(.mm-stored)")
    seen = page.evaluate("seen")
    assert seen["filled"] == seen["empty"]
    assert seen["onScreen"], "a phone shows what happens"
    assert seen["resultHidden"]
    assert seen["oneFinished"], "both are there while the full run goes on"
    headline = page.locator("#result-text-to-image h2")
    assert re.match(r"[\d.]+(x faster| times less work)\. ", headline.inner_text())
    wait_until(page, ON_SCREEN, arg="#result-text-to-image h2")  # and then the result
    assert page.locator("#result-text-to-image .mm-figures.first .mm-figure").count() == 3
    assert not page.locator("#result-text-to-image .mm-details").get_attribute("open")
    race = page.locator("#result-text-to-image .mm-race")
    race.evaluate("one => { one.dataset.seconds = 0.2 }")
    race.locator(".mm-race-go").click()
    page.wait_for_selector("#result-text-to-image .mm-race.played")


def test_stop_ends_a_run_and_the_next_one_is_right(visit, slowly, monkeypatch):
    page = visit(steps=40)
    page.click("#go-text-to-image")
    page.wait_for_selector("#progress-text-to-image >> text=/step [0-9]+ of 40/")
    page.click("#stop-text-to-image")
    page.wait_for_selector("#progress-text-to-image >> text=Stopped.")
    assert page.locator("#result-text-to-image .mm-stored").is_visible(), (
        "what was there before is there again"
    )
    page.wait_for_selector("#stop-text-to-image[disabled]")
    monkeypatch.setattr(PacedConv, "seconds", 0.0)
    assert " of 40" in figure(compare(page), "steps")


def test_another_speed_runs_the_cached_side_alone_and_the_visit_survives_a_reload(visit):
    page = visit()
    first = compare(page)
    assert first.get_attribute("data-kept") == "false"
    psnr = figure(first, "PSNR")
    said = page.locator(".mm-said").locator("visible=true").first
    before = said.inner_text()
    page.locator(".mm-stops").locator("visible=true").get_by_role("radio").last.check()
    expect(said).not_to_have_text(before, timeout=PATIENCE)
    second = compare(page)
    assert second.get_attribute("data-kept") == "true"
    assert "Only the cached run was made" in second.text_content()
    assert figure(second, "PSNR") != psnr
    for reload in (False, True):
        if reload:
            page.reload()
        page.get_by_role("tab", name="This visit").click()
        past = page.locator("#gallery .mm-past")
        past.nth(1).wait_for()
        assert past.count() == 2
        assert " dB" in past.nth(1).locator("> summary").inner_text()
        past.nth(1).locator("> summary").click()
        assert has_loaded(past.nth(1).locator("[data-panel=full] img"))


def test_a_plan_of_ones_own(same_visit):
    page = same_visit()
    expert(page)
    choose(page, "Plan", "my own")
    choose(page, "Full steps", "these steps")
    steps = page.get_by_label("Steps to run in full").locator("visible=true")
    steps.fill("0, x")
    page.click("#go-text-to-image")
    page.locator(".mm-fault >> text=is no whole number").wait_for()
    steps.fill("0, 5")
    page.wait_for_selector(f".mm-plan >> text=/2 of {STEPS} steps are full/")
    assert figure(compare(page), "steps").startswith(f"2 of {STEPS}")


NO_PICTURES = {
    "text.png": b"I am not a picture",
    "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "clip.mp4": b"\x00\x00\x00\x18ftypmp42",
}


@pytest.mark.parametrize("tab", [tab.task.name for tab in DRAWING_TABS if tab.task.inputs])
def test_bad_uploads_get_a_message_and_change_nothing(tab, same_visit):
    page = same_visit(tab)
    for name, content in NO_PICTURES.items():
        # What is said of this file: the last one's answer may still stand there.
        said = page.locator(f".mm-fault:has-text('{name}'), .toast-body").locator("visible=true").first
        with contextlib.suppress(
            sync_api.TimeoutError
        ):  # a file that comes while the field is drawn anew is lost
            upload(page, name, content)
            said.wait_for(timeout=30_000)
        if not said.is_visible():
            upload(page, name, content)
            said.wait_for()
        assert re.search("is not an image|nvalid file type", said.inner_text()), name
        assert "/tmp" not in said.inner_text()
        if page.locator(".toast-close").locator("visible=true").count():
            page.locator(".toast-close").locator("visible=true").first.click()
            page.locator(".toast-body").first.wait_for(state="hidden")
    if tab == "controlnet":
        upload(page, "wide.png", png(20_000, 50))
        page.locator(".mm-fault >> text=wide.png: is 20000x50; at most 4 times as long as narrow").wait_for()
    check_images(compare(page, tab), "given")  # the example is still there


def fault(page):
    """What the page says beside a field; the next one takes its place."""
    message = page.locator(".mm-fault").locator("visible=true").first
    message.wait_for()
    return message.inner_text()


def upload(page, name, content):
    button = page.get_by_role("button", name=re.compile("Upload an image|Edges of an image"))
    with page.expect_file_chooser() as chooser:
        button.locator("visible=true").click()
    kind = mimetypes.guess_type(name)[0]
    chooser.value.set_files({"name": name, "mimeType": kind, "buffer": content})


def png(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "#3a7d44").save(file, "PNG")
    return file.getvalue()


def test_a_good_picture_is_drawn_on(same_visit):
    page = same_visit("inpaint")
    upload(page, "green.png", png(96, 64))
    page.wait_for_timeout(1500)
    page.click("#go-inpaint")
    assert "Nothing is painted" in fault(page)


def test_two_visitors_at_once_get_their_own(visit):
    pages = {prompt: visit(prompt=prompt) for prompt in ("a red hat", "a blue hat")}
    for page in pages.values():
        page.click("#go-text-to-image")
    for prompt, page in pages.items():
        page.wait_for_selector("#result-text-to-image .mm-result:not(.mm-stored)")
        assert page.locator("#result-text-to-image .mm-over").get_attribute("alt") == f"Full run: {prompt}"
        page.get_by_role("tab", name="This visit").click()
        assert page.locator("#gallery .mm-past").count() == 1
        assert prompt in page.locator("#gallery .mm-past > summary").inner_text()
    full = [page.locator("#result-text-to-image .mm-over").get_attribute("src") for page in pages.values()]
    assert full[0] != full[1]


def test_an_example_works_at_one_click(same_visit):
    page = same_visit()
    page.get_by_role("button", name="pink afro").locator("visible=true").first.click()
    page.wait_for_selector("#result-text-to-image .mm-result:not(.mm-stored) .mm-over[alt*='pink afro']")


def test_the_link_brings_the_settings_back(visit):
    page = visit("controlnet", seed=7)
    expert(page)
    page.get_by_role("button", name="Copy link to these settings").locator("visible=true").click()
    wait_until(page, "() => location.search.includes('seed=7')")
    assert "tab=controlnet" in page.url
    assert f"steps={STEPS}" in page.url
