"""The Space: its settings and requirements are right, and it starts and compares as it would on the Hub."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mmcache_demos.app.browser import browser, why_no_browser

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parent.parent
SPACE = ROOT / "space"
PATIENCE = 240  # seconds until the page is there; a busy machine is slow


def project(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


def requirements(lines: list[str]) -> dict[str, Requirement]:
    """By name; options of pip and mmcache's own distributions are left out."""
    found = [Requirement(line) for line in lines if line and not line.startswith("--")]
    return {one.name: one for one in found if not one.name.startswith("mmcache")}


def settings() -> dict:
    from huggingface_hub import SpaceCard

    return SpaceCard((SPACE / "README.md").read_text(encoding="utf-8")).data.to_dict()


def test_requirements_are_those_of_the_packages():
    """The packages lie beside app.py, so only what they need is installed; gradio comes with the Space."""
    library, demos = project(ROOT), project(ROOT / "demos")
    extras = library["optional-dependencies"]
    wanted = requirements(
        [
            *library["dependencies"],
            *(line for name in ("metrics", "plot", "video") for line in extras[name]),
            *demos["optional-dependencies"]["app"],
        ]
    )
    gradio = wanted.pop("gradio")
    listed = requirements((SPACE / "requirements.txt").read_text().splitlines())
    assert listed == wanted
    assert settings()["sdk_version"] in gradio.specifier


def test_settings_are_those_of_a_space():
    found = settings()
    assert found["sdk"] == "gradio"
    assert (SPACE / found["app_file"]).exists()
    assert {found["colorFrom"], found["colorTo"]} <= {
        *("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
    }
    assert len(found["short_description"]) <= 60
    minor = int(found["python_version"].partition(".")[2])
    assert minor >= int(re.search(r"3\.(\d+)", project(ROOT)["requires-python"])[1])


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The Space, started as the Hub starts it."""
    pytest.importorskip("gradio")
    httpx = pytest.importorskip("httpx")
    port = free_port()
    told = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port), "SPACE_ID": "owner/mmcache"}
    log = tmp_path_factory.mktemp("space") / "log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "app.py"], cwd=SPACE, env=os.environ | told, stdout=output, stderr=output
        )
        try:
            url, until = f"http://127.0.0.1:{port}/", time.monotonic() + PATIENCE
            while True:
                assert running.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                try:
                    httpx.get(url, timeout=PATIENCE).raise_for_status()
                    break
                except httpx.ConnectError:
                    time.sleep(0.2)
            yield url
        finally:
            running.terminate()
            running.wait(30)


def test_the_hub_may_show_it_in_a_frame(address):
    import httpx

    policy = httpx.get(address).headers["content-security-policy"]
    assert "frame-ancestors 'self' https://huggingface.co" in policy


@pytest.mark.skipif(bool(why_no_browser()), reason=why_no_browser())
def test_it_compares(address):
    from tests.test_demo_page import compare

    with browser() as opened:
        page = opened.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(f"{address}?tab=text-to-image&steps=10")
        assert "dB" in compare(page).inner_text()
