"""What a visitor of the demo sees before anything is run, in a real browser, on screens of all sizes."""

import re
from itertools import pairwise, product

import pytest

from mmcache.tools.inspecting.canvas import SMALL
from mmcache_demos.app.about import ABOUT, PAPER, project_address
from mmcache_demos.app.browser import why_no_browser
from mmcache_demos.app.demo_tabs import DRAWING_TABS
from mmcache_demos.app.film import SECONDS
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.screenshots import open_tab
from mmcache_demos.app.server import Server, serving
from mmcache_demos.app.stops import RECOMMENDED
from mmcache_demos.app.stored import stored, thumbnails
from tests.demo_browser import choose, expert, opened_pages, wait_until

pytest.importorskip("gradio")
httpx = pytest.importorskip("httpx")
expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.skipif(bool(why_no_browser()), reason=why_no_browser())

STEPS, FRAMES = 40, 4
WIDTHS = (320, 390, 768, 1280, 1600, 1920)
TABS = [*(tab.title for tab in DRAWING_TABS), "Explore", "This visit"]


@pytest.fixture(scope="module")
def address():
    with serving(Server(limits=Limits(steps=STEPS, frames=FRAMES), threads=1)) as address:
        yield address


def opened_by(opened, address):
    """A function that opens the page as a new visitor."""

    def open_page(query="", width=1280, height=800):
        page = opened(address + query, width, height)
        page.wait_for_selector("#go-text-to-image")
        wait_until(page, "() => sessionStorage.getItem('mmcache-visit')")
        return page

    return open_page


@pytest.fixture
def visit(context, address):
    """Opens the page as a new visitor."""
    with opened_pages(context) as opened:
        yield opened_by(opened, address)


@pytest.fixture(scope="module")
def one_page(context, address):
    with opened_pages(context) as opened:
        yield opened_by(opened, address)()


@pytest.fixture
def page(one_page):
    """A page for tests that only look: all of them have the same one, and begin with its first tab."""
    one_page.set_viewport_size({"width": 1280, "height": 800})
    open_tab(one_page, TABS[0])
    one_page.evaluate("() => scrollTo(0, 0)")
    return one_page


def resize(page, width, height=800):
    """Give the page another size; it is laid out when a frame was drawn."""
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def box(page, selector):
    return page.locator(selector).locator("visible=true").first.bounding_box()


def test_the_result_is_there_without_a_click(page):
    one = stored("text-to-image")
    assert page.locator(".mm-stored h2").first.inner_text() == one.headline
    assert re.fullmatch(r"Same picture\. \d(\.\d)? times less work\.", one.headline)
    assert "This is a stored result" in page.locator(".mm-stored .mm-says").first.inner_text()
    frame = page.locator(".mm-frame").first
    over = frame.locator(".mm-over")
    assert over.evaluate("one => one.decode().then(() => one.naturalWidth)") == one.width
    assert over.evaluate("one => getComputedStyle(one).imageRendering") == "pixelated"
    page.emulate_media(reduced_motion="no-preference")
    moments = frame.evaluate(
        """one => {
            one.classList.remove("once");
            one.getBoundingClientRect();
            one.classList.add("once");
            const [wiping] = one.getAnimations();
            wiping.pause();
            const at = (time) => {
                wiping.currentTime = time;
                return parseFloat(getComputedStyle(one).getPropertyValue("--wipe"));
            };
            const times = wiping.effect.getTiming();
            const found = [0, 0.25, 0.7, 1].map(share => at(times.delay + share * (times.duration - 1)));
            wiping.finish();
            return [times.iterations, ...found.map(Math.round), at(times.delay + times.duration)];
        }"""
    )
    page.emulate_media(reduced_motion="reduce")
    assert moments == [1, 50, 92, 8, 50, 50]
    again = """one => {
        one.classList.remove("once");
        one.getBoundingClientRect();
        one.classList.add("once");
        return one.getAnimations().length;
    }"""
    assert frame.evaluate(again) == 0, "nothing moves for who has asked for that"


def test_the_image_is_large_and_whole_and_above_the_fold(page):
    for width in WIDTHS:
        resize(page, width, 900 if width < 1900 else 1080)
        image = box(page, ".mm-frame")
        assert image["width"] >= 256, width
        assert image["width"] % stored("text-to-image").width == 0, "each pixel is as large as the others"
    resize(page, 1280, 800)
    assert box(page, ".mm-frame")["y"] + box(page, ".mm-frame")["height"] <= 800
    go = box(page, "#go-text-to-image")
    assert go["y"] + go["height"] <= 800
    assert not page.locator(".mm-to-controls").locator("visible=true").count(), "it is for phones"
    for width, height in ((320, 568), (360, 640), (390, 844), (768, 1024), (844, 390), (667, 375)):
        resize(page, width, height)
        image, go, way = (box(page, name) for name in (".mm-frame", "#go-text-to-image", ".mm-to-controls"))
        assert image["y"] + image["height"] <= go["y"], (width, "nothing covers the image")
        assert go["y"] + go["height"] <= height, width
        assert way["x"] + way["width"] <= go["x"] or way["x"] >= go["x"] + go["width"], width
    resize(page, 1920, 1080)
    assert box(page, "#tabs")["width"] > 1600, "the width is used"
    assert box(page, ".mm-frame")["width"] >= 512


def test_nothing_is_wider_than_the_screen_and_the_left_edge_stays(page):
    edges = {width: set() for width in (320, 390, 1280)}
    for title in TABS:
        open_tab(page, title)
        if title == "Explore":
            page.wait_for_selector(".mm-explored")
        for width in edges:
            resize(page, width)
            place = page.get_by_role("tab", name=title, exact=True).first.bounding_box()
            assert place["x"] >= 0, title
            assert place["x"] + place["width"] <= width, title
            edges[width].add(box(page, ".mm-head h1")["x"])
            assert page.evaluate("() => document.scrollingElement.scrollWidth") <= width, (title, width)
    assert all(len(found) == 1 for found in edges.values()), edges


def test_everything_has_a_name(page):
    resize(page, 390)
    for tab in DRAWING_TABS:
        open_tab(page, tab.title)
        page.wait_for_selector(f"#go-{tab.task.name}", state="visible")
        expert(page)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("input, textarea, select, button")]
                .filter(one => one.checkVisibility() && one.type !== "file")
                .filter(one => !one.labels?.length && !one.getAttribute("aria-label") && !one.title
                               && !one.getAttribute("aria-labelledby") && !one.innerText?.trim())
                .map(one => one.outerHTML.slice(0, 200))"""
        )
        assert not nameless, tab.title


# The race by a clock of its own, 50 ms a frame: how long it lasts, what is written at the full run when the
# cached one is finished, and at last.
RACE = """() => new Promise((done) => {
    const [full, cached] = document.querySelectorAll(".mm-race .mm-at");
    const draws = requestAnimationFrame;
    let now = 0;
    let then = "";
    performance.now = () => now;
    requestAnimationFrame = (draw) => setTimeout(() => {
        draw((now += 50));
        if (!then && cached.textContent.startsWith("finished")) then = full.textContent;
        if (!document.querySelector(".mm-race.played")) return;
        delete performance.now;
        requestAnimationFrame = draws;
        done([now, then, full.textContent]);
    });
    document.querySelector(".mm-race-go").click();
})"""


def test_the_stored_race_is_won_by_the_cached_run(page):
    one = stored("text-to-image")
    lasted, then, at_last = page.evaluate(RACE)
    assert 1000 * SECONDS <= lasted < 1100 * SECONDS
    step = int(re.search(r"step (\d+) of", then)[1])
    assert abs(step / one.steps - 1 / one.less_work) < 0.05, "it is finished while the other is at 40 %"
    assert at_last == "finished"


@pytest.fixture(scope="module")
def used_page(context, address):
    """A page for tests that use its controls, each from where the one before has left them."""
    with opened_pages(context) as opened:
        yield opened_by(opened, address)()


def test_the_slider_has_costs_and_says_what_they_hold(used_page):
    page = used_page
    stops = page.locator(".mm-stops").locator("visible=true").first.get_by_role("radio")
    names = page.locator(".mm-stops").locator("visible=true").first.locator("label").all_inner_texts()
    assert all(re.match(r"[\d.]+x", name) for name in names)
    assert "closest" in names[0]
    assert "fastest" in names[-1]
    chosen = next(place for place, name in enumerate(names) if RECOMMENDED in name)
    assert stops.nth(chosen).is_checked()
    said = page.locator(".mm-said").locator("visible=true").first
    assert f" of {STEPS} steps run the whole model" in said.inner_text()
    assert "not measured here" in said.inner_text()
    stops.nth(chosen).press("ArrowRight")
    assert stops.nth(chosen + 1).is_checked()
    cost = names[chosen + 1].split()[0]
    wait_until(page, "cost => document.querySelector('.mm-said').innerText.startsWith(cost)", arg=cost)
    last, first = (stops.nth(place).bounding_box() for place in (-1, 0))
    page.mouse.move(first["x"] + 5, first["y"] + 5)
    page.mouse.down()
    page.mouse.move(last["x"] + 5, last["y"] + 5, steps=5)
    page.mouse.up()
    assert stops.nth(len(names) - 1).is_checked()
    open_words = (
        page.locator(".mm-controls").first.inner_text() + page.locator(".mm-outcome").first.inner_text()
    )
    assert "Uniform(" not in open_words
    assert "StepMask" not in open_words


def test_the_words_of_stops_can_be_read_and_do_not_meet(page):
    for title, width in product((tab.title for tab in DRAWING_TABS), (320, 390, 1280)):
        open_tab(page, title)
        resize(page, width)
        stops = page.locator(".mm-stops").locator("visible=true").first.locator("label > span")
        ends = stops.evaluate_all(
            """all => all.map(one => {
                const words = document.createRange();
                words.selectNodeContents(one);
                const box = words.getBoundingClientRect();
                return [box.left, box.right];
            })"""
        )
        assert len(ends) > 2
        assert all(right < left for (_, right), (left, _) in pairwise(ends)), (title, width, ends)
        sizes = stops.evaluate_all("all => all.map(one => parseFloat(getComputedStyle(one).fontSize))")
        assert min(sizes) >= 12, (title, width)


def test_each_tab_has_three_examples_with_their_images(page):
    for tab in DRAWING_TABS:
        open_tab(page, tab.title)
        examples = page.locator(".mm-example").locator("visible=true")
        assert examples.count() == len(tab.examples) == len(thumbnails(tab.task.name)) == 3
        images = examples.evaluate_all(
            "all => all.map(one => getComputedStyle(one, '::before').backgroundImage)"
        )
        for image in images:
            answer = httpx.get(re.fullmatch(r'url\("(.+)"\)', image)[1])
            assert answer.headers["content-type"] == "image/webp", image


def test_clips_are_large_and_whole_and_above_the_fold(page):
    open_tab(page, "Video")
    assert page.locator(".mm-stored h2").locator("visible=true").inner_text().startswith("Same clip. ")
    for width, height in ((768, 1024), (1280, 800), (1440, 900), (1920, 1080)):
        resize(page, width, height)
        one = box(page, ".mm-frame canvas")
        assert one["width"] >= 256, width
        assert one["width"] % stored("text-to-video").width == 0, "each pixel is as large as the others"
        assert one["y"] + one["height"] <= height, width
    for width, height in ((320, 568), (360, 640), (390, 844), (667, 375), (844, 390)):
        resize(page, width, height)
        one, go = box(page, ".mm-frame canvas"), box(page, "#go-text-to-video")
        assert one["width"] >= 256 or width > height, "a phone on its side has 247 pixels for it"
        assert one["y"] + one["height"] <= go["y"], (width, "nothing covers the clip")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_a_stored_clip_is_served_in_parts_so_that_one_can_seek_in_it(address):
    file = f"{address}stored/{stored('text-to-video').files['both']}"
    whole = httpx.get(file)
    assert whole.headers["content-type"] == "video/mp4"
    part = httpx.get(file, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])


def test_a_mistake_is_said_beside_its_field(page, capfd):
    prompt = page.get_by_label("Prompt", exact=True).locator("visible=true")
    prompt.fill("   ")
    page.click("#go-text-to-image")
    fault = page.locator(".mm-fault")
    fault.wait_for()
    assert fault.inner_text() == "Please write a prompt."
    field = page.locator(".mm-prompt").first
    assert field.evaluate("one => one.nextElementSibling.className") == "mm-fault"
    assert prompt.get_attribute("aria-invalid") == "true"
    assert not page.locator(".toast-body").locator("visible=true").count()
    prompt.fill("a cat")
    assert not fault.count()
    written = capfd.readouterr()
    assert "Traceback" not in written.err + written.out


def test_limits_bound_the_controls_and_a_size_that_is_the_models_own_is_empty(used_page):
    page = used_page
    expert(page)
    for name in ("Width", "Height"):
        field = page.get_by_label(name, exact=True).locator("visible=true")
        expect(field).to_have_value("")  # gradio shows 0 for a moment
        assert "own" in field.get_attribute("placeholder")
    steps = page.get_by_role("slider", name=re.compile("Steps")).locator("visible=true").first
    assert (steps.get_attribute("max"), steps.input_value()) == (str(STEPS), str(STEPS))
    choose(page, "Plan", "my own")
    branch = page.get_by_role("slider", name=re.compile("Branch")).locator("visible=true").first
    assert branch.get_attribute("max") == "8"
    open_tab(page, "Video")
    expert(page)
    frames = page.get_by_role("slider", name=re.compile("Frames")).locator("visible=true").first
    assert (frames.get_attribute("max"), frames.input_value()) == (str(FRAMES), str(FRAMES))


def seed_of(page):
    return page.evaluate("() => document.querySelector('.mm-seed input').value")


@pytest.fixture(scope="module")
def by_a_link(context, address):
    """A page that a link has opened, for two tests of which the second goes on where the first ends."""
    with opened_pages(context) as opened:
        yield opened_by(opened, address)("?utm_source=letter&steps=5000&seed=7&prompt=a+dog")


def test_a_bad_value_of_a_link_is_said_and_the_rest_is_kept(by_a_link):
    page = by_a_link
    said = page.locator(".toast-body").first
    said.wait_for()
    assert "steps: 5000 asked for" in said.inner_text()
    assert "utm_source" not in said.inner_text()
    wait_until(page, "() => document.querySelector('.mm-prompt textarea').value === 'a dog'")
    expert(page)
    page.wait_for_selector(".mm-seed input")
    assert seed_of(page) == "7"


def test_settings_and_prompt_survive_a_reload_and_a_link_goes_on(by_a_link):
    page = by_a_link
    expert(page)
    wait_until(page, "() => document.querySelector('.mm-seed input').value === '7'")
    page.get_by_label("Prompt", exact=True).locator("visible=true").fill("a person with a blue hat")
    page.get_by_role("radio").locator("visible=true").nth(0).check()
    wait_until(page, "() => sessionStorage.getItem('mmcache-settings')?.includes('blue hat')")
    page.reload()
    wait_until(
        page, "() => document.querySelector('.mm-prompt textarea')?.value === 'a person with a blue hat'"
    )
    wait_until(page, "() => document.querySelector('.mm-stops input')?.checked")
    expert(page)
    page.wait_for_selector(".mm-seed input")
    assert seed_of(page) == "7"
    page.goto(re.sub(r"\?.*", "?prompt=a+green+hat", page.url))
    wait_until(page, "() => document.querySelector('.mm-prompt textarea')?.value === 'a green hat'")


def test_the_page_has_a_head_of_its_own(page, address):
    text = httpx.get(address).text
    head = text.partition("</head>")[0]
    assert "Gradio</title>" not in head
    for name in ("og:title", "og:description", "og:image", "twitter:card"):
        assert len(re.findall(f'"{name}"', head)) == 1, name
    image = re.search(r'property="og:image" content="([^"]+)"', head)[1]
    assert image.startswith(address)
    answer = httpx.get(image)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert page.title() == "mmcache: the same picture with less work"


def test_the_page_links_to_the_paper_and_to_what_is_known_of_the_project(visit, address):
    page = visit(width=320)
    for place in (".mm-head", ".mm-foot"):
        links = page.locator(f"{place} a").evaluate_all("all => all.map(one => one.href)")
        assert links == [project_address() or f"{address}{ABOUT}", PAPER]
    complaints = []
    page.on("console", lambda said: complaints.append(said.text))
    answer = page.goto(address + ABOUT)
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    for width, scheme, paper in ((320, "light", 249), (390, "dark", 17), (1280, "light", 249)):
        resize(page, width)
        page.emulate_media(color_scheme=scheme)
        page.reload()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        colour = page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
        assert abs(int(re.search(r"\d+", colour)[0]) - paper) < 5, scheme
    assert page.locator("h1").inner_text() == "mmcache"
    page.get_by_role("link", name="Back to the demo").click()
    page.wait_for_selector("#go-text-to-image")
    assert not [said for said in complaints if "Content Security Policy" in said]


@pytest.mark.parametrize(
    "path", ["stored/../server.py", "stored/..%2fserver.py", "stored/costs.json", "stored/"]
)
def test_only_stored_images_are_served_by_name(path, address):
    assert httpx.get(address + path).status_code in (403, 404, 307)


def test_explore_can_be_read_and_is_there_at_once(visit):
    page = visit()
    open_tab(page, "Explore")
    page.wait_for_selector(".mm-explored")
    page.reload()
    page.wait_for_selector("#go-text-to-image", state="attached")
    page.evaluate("() => { window.began = performance.now(); }")
    open_tab(page, "Explore")
    page.wait_for_selector(".mm-explored")
    image = page.locator(".mm-u img").first
    assert image.evaluate("one => one.decode().then(() => one.naturalWidth)") > 500
    smallest = image.evaluate(
        "(one, points) => points * 130 / 72 * one.getBoundingClientRect().width / one.naturalWidth", SMALL
    )
    assert smallest >= 12
    headings = page.locator("[role=tabpanel] h2").locator("visible=true")
    assert headings.count() >= 2
    page.evaluate("() => document.body.classList.add('dark')")
    assert "invert" in image.evaluate("one => getComputedStyle(one).filter")
    assert page.locator(".mm-scroll tr[aria-current] th").inner_text() == "0"
    assert f" of {STEPS} steps are full" in page.locator("#explore-strip").inner_text()


def test_a_drawing_that_is_too_wide_is_shown_from_its_middle(visit):
    page = visit(width=390)
    open_tab(page, "Explore")
    page.wait_for_selector(".mm-explored")
    page.wait_for_selector(".mm-u[data-seen]")
    left, whole, shown = page.locator(".mm-u").first.evaluate(
        "one => [one.scrollLeft, one.scrollWidth, one.clientWidth]"
    )
    assert whole > shown
    assert abs(left - (whole - shown) / 2) <= 1
