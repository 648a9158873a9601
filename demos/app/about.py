"""What the page says of the project: a link to it and to the paper, and the README as a page of its own."""

import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

from mmcache_demos.app.markup import text

ABOUT = "about"  # below the page's own address
PAPER = "https://arxiv.org/abs/2312.00858"
HERE = Path(__file__).parent
# Labels of an address of the project in a package's metadata, best first, without case and punctuation:
# https://packaging.python.org/en/latest/specifications/well-known-project-urls/
LABELS = ("homepage", "source", "repository", "sourcecode", "github")
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>About mmcache</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style>
<script>document.documentElement.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches)
</script></head><body class="mm-about"><header><a href="./">Back to the demo</a>
<p>The README of mmcache {version}. The pages and images that it
names are in the project's folder.</p></header>
<main>{readme}</main></body></html>"""


def project_address() -> str:
    """The project's own address as its package names it (`[project.urls]`); "" where it names none."""
    urls = {}
    for line in metadata("mmcache").get_all("Project-URL") or ():
        label, _, url = line.partition(",")
        urls[re.sub(r"[\W_]", "", label).lower()] = url.strip()
    return next((urls[label] for label in LABELS if urls.get(label, "").startswith("http")), "")


def links() -> str:
    """Links to the project, or to its README where it has no address, and to the paper; HTML."""
    project = project_address()
    shown = {"Project": project} if project else {"About": ABOUT}
    return " ".join(
        f'<a href="{text(url)}"{outside(url)}>{text(name)}</a>'
        for name, url in (shown | {"Paper": PAPER}).items()
    )


def outside(url: str) -> str:
    """The attributes of a link that leaves the demo, which stays open behind it."""
    return ' rel="noopener" target="_blank"' if url.startswith("http") else ""


@cache
def about_page() -> bytes:
    """The README that was installed with the package, as a page in the style of the demo."""
    known = metadata("mmcache")
    style = "".join((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "about.css"))
    readme = readme_markup("".join(known.get_all("Description") or ()))
    return PAGE.format(style=style, version=text(known["Version"]), readme=readme).encode()


def readme_markup(readme: str) -> str:
    """Markdown as HTML, without its images and without links to files, which this page does not have."""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    wide = '<div class="mm-scroll" tabindex="0" role="region" aria-label="Table"><table>'
    markdown.add_render_rule("table_open", lambda *_: wide)
    markdown.add_render_rule("table_close", lambda *_: "</table></div>")
    markdown.add_render_rule("image", lambda *_: "")
    blocks = markdown.parse(readme)
    for heading, inline in pairwise(blocks):
        if heading.type == "heading_open":
            heading.attrSet("id", re.sub(r"\W+", "-", inline.content.lower()).strip("-"))
    for block in blocks:
        settle_links(block.children or ())
    return str(markdown.renderer.render(blocks, markdown.options, {}))


def settle_links(tokens: Sequence[Any]) -> None:
    """Let links to other pages open beside this one, and show the name of a file instead of a link to it."""
    tag = "a"
    for token in tokens:
        if token.type == "link_open":
            url = str(token.attrGet("href"))
            tag = "a" if url.startswith(("http", "#")) else "span"
            if tag == "span":
                token.attrs = {"title": url}
            elif url.startswith("http"):
                token.attrs |= {"rel": "noopener", "target": "_blank"}
        if token.type in ("link_open", "link_close"):
            token.tag = tag
