"""A Sphinx extension: parts of the README stand on pages of their own, with links that are right there."""

import re
from pathlib import Path

from sphinx.application import Sphinx

LINK = re.compile(r"(\]\()(?![a-z]+:|#|/)")
PAGES = Path("docs")  # the folder of every page that includes another file


def relink(app: Sphinx, included: Path, page: str, content: list[str]) -> None:
    """Make the relative links of an included file relative to the pages' folder."""
    steps = "".join("../" for _ in PAGES.parts)
    below = "" if included.parent == Path() else f"{included.parent.as_posix()}/"
    if included.parent != PAGES:
        content[0] = LINK.sub(rf"\g<1>{steps}{below}", content[0])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("include-read", relink)
    return {"parallel_read_safe": True}
