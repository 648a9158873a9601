"""What the demo's page says of the project: its address, or the README that was installed with it."""

import re
from email.message import Message

import pytest

pytest.importorskip("gradio")

from mmcache_demos.app import about

SOURCE = "https://example.org/mmcache?a=1&b=2"


def packaged(monkeypatch, *urls):
    """Let the package's metadata name addresses."""
    found = Message()
    for url in urls:
        found["Project-URL"] = url
    monkeypatch.setattr(about, "metadata", lambda name: found)


@pytest.mark.parametrize(
    ("urls", "address"),
    [
        ((f"Repository, {SOURCE}",), SOURCE),
        (("Issues, https://example.org/issues", f"Source Code, {SOURCE}"), SOURCE),
        (("Source, https://example.org/source", f"home-page,{SOURCE}"), SOURCE),
        ((), ""),
        (("Issues, https://example.org/issues", "no address", "Source, ftp://example.org"), ""),
    ],
)
def test_the_project_is_linked_where_its_package_names_it(urls, address, monkeypatch):
    packaged(monkeypatch, *urls)
    assert about.project_address() == address
    project, paper = re.findall(r'<a href="([^"]+)"', about.links())
    assert project == (address.replace("&", "&amp;") or about.ABOUT)
    assert paper == about.PAPER


def test_the_installed_readme_is_a_page_without_what_it_has_not():
    page = about.about_page().decode()
    assert "mmcache.accelerate(pipe)" in page, "the six lines of Python"
    assert "Which plan should I use?" in page
    assert page.count("<table>") >= 3
    assert "<img" not in page
    anchors = set(re.findall(r'id="([^"]+)"', page))
    for link in re.findall(r'<a href="([^"]+)"', page):
        assert link == "./" or link.startswith("https://") or link.removeprefix("#") in anchors, link


def test_what_a_readme_says_is_text():
    page = about.readme_markup(
        '<script>alert(1)</script>\n\n[a](javascript:alert(1)) [b](docs/b.md "<b>") [c](https://example.org)'
    )
    assert "<script" not in page
    assert 'href="javascript' not in page
    assert '<span title="docs/b.md">b</span>' in page
    assert '<a href="https://example.org" rel="noopener" target="_blank">c</a>' in page
