"""The demo as a server: what strangers get over HTTP, what they do not, and many of them at once."""

import html
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmcache_demos import load_miniature
from mmcache_demos.app.costs import slider_for
from mmcache_demos.app.demo_tabs import DRAWING_TABS
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.server import Server, serving
from mmcache_demos.app.settings import MINIATURE, NAMES
from tests.tiny_prompted import prompted

pytest.importorskip("gradio")
httpx = pytest.importorskip("httpx")
get, post = (partial(call, verify=False) for call in (httpx.get, httpx.post))  # no certificates are read

VISITORS, AT_ONCE, STEPS = 20, 2, 10
RECOMMENDED = slider_for(DRAWING_TABS[0].settings(MINIATURE), "text-to-image", "image").recommended.name
LIMITS = Limits(upload_bytes=2**20, waiting=VISITORS)


@pytest.fixture(scope="module")
def address():
    with serving(Server(limits=LIMITS, threads=1)) as address:
        yield address


def controls(**changes):
    """Values of a tab's controls in their order, as a program sends them."""
    tab = DRAWING_TABS[0]
    values = tab.settings(MINIATURE).flat() | {"cost": RECOMMENDED} | changes
    return [values[name] for name in NAMES if name != "frames"]


def compared(address, **changes):
    """A visitor of its own: the result's HTML."""
    from gradio_client import Client

    client = Client(address, verbose=False)
    try:
        return client.predict(*controls(**changes), api_name="/compare-text-to-image")[1]
    finally:
        client.close()


def linked(page, address):
    """The files that a result offers, by name."""
    links = re.findall(r'<a href="([^"]+)" download="([^"]+)"', page)
    return {name: get(address + html.unescape(link)) for link, name in links}


@pytest.mark.parametrize(
    "path", [__file__, "/etc/passwd", "../../../../etc/passwd", str(Path.cwd() / "pyproject.toml")]
)
def test_files_of_the_server_are_not_served(path, address):
    for route in ("gradio_api/file=", "gradio_api/file/", "file="):
        assert get(f"{address}{route}{path}").status_code in (403, 404), route


def test_uploads_have_a_size(address):
    def upload(size):
        return post(f"{address}gradio_api/upload", files={"files": ("a.png", bytes(size))}).status_code

    assert upload(1000) == 200
    assert upload(LIMITS.upload_bytes + 1) == 413


def test_nothing_that_is_not_meant_for_programs_is_offered_to_them(address):
    listed = get(f"{address}gradio_api/info").json()
    assert not listed["named_endpoints"]
    assert not listed["unnamed_endpoints"]
    config = get(f"{address}config").json()
    open_ones = [one["api_name"] for one in config["dependencies"] if one["api_visibility"] != "private"]
    assert sorted(open_ones) == sorted(f"compare-{tab.task.name}" for tab in DRAWING_TABS)
    assert config["analytics_enabled"] is False


def test_the_queue_cannot_be_gone_round(address):
    done = post(f"{address}gradio_api/run/compare-text-to-image", json={"data": controls()})
    assert done.status_code == 404


def test_a_program_is_refused_what_the_page_would_refuse(address):
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError, match="5000 is greater than maximum value 100"):
        compared(address, steps=5000)
    with pytest.raises(AppError, match="/etc"):
        compared(address, model="/etc")


def test_results_can_be_downloaded_and_are_what_was_asked_for(address):
    files = linked(compared(address, steps=STEPS, seed=3, plan="fast"), address)
    assert set(files) == {"full.png", "cached.png", "side-by-side.png", "report.json", "plan.yaml"}
    assert all(file.status_code == 200 for file in files.values())
    report = json.loads(files["report.json"].content)
    assert (report["settings"]["seed"], report["settings"]["steps"]) == (3, STEPS)
    assert "interval: 5" in files["plan.yaml"].text


def test_a_password_is_asked_for():
    with serving(Server(auth=("me", "secret"), threads=1)) as address:
        assert get(f"{address}config").status_code == 401
        with httpx.Client(verify=False) as client:
            sent = client.post(f"{address}login", data={"username": "me", "password": "secret"})
            assert sent.status_code == 200
            assert client.get(f"{address}config").status_code == 200


def test_nothing_is_left_when_the_server_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("mmcache_demos.app.models.load_miniature", lambda name, **options: prompted())
    with serving(Server(threads=1)) as address:
        compared(address, steps=9)
        assert list(tmp_path.rglob("full.png"))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_twenty_visitors_two_at_a_time_get_their_own(address):
    pipe = load_miniature()
    pipe.set_progress_bar_config(disable=True)
    prompt = DRAWING_TABS[0].task.prompt

    def full(seed):
        generator = torch.Generator().manual_seed(seed)
        drawn = pipe(
            prompt, num_inference_steps=STEPS, guidance_scale=3.0, generator=generator, output_type="np"
        )
        return np.rint(drawn.images[0] * 255).astype(np.uint8)

    def visit(seed):
        files = linked(compared(address, steps=STEPS, seed=seed), address)
        return json.loads(files["report.json"].content), files["full.png"].content

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(visit, range(VISITORS)))
    for seed, (report, picture) in enumerate(found):
        assert report["settings"]["seed"] == seed
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture))), full(seed))
