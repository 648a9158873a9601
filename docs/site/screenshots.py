"""Screenshots of the built documentation at a desk and on a phone, to be looked at.

python docs/site/screenshots.py build/site shots docs/start.html

It also names pages that are wider than a phone's screen, and pictures that did not load.
"""

import sys
from pathlib import Path

from mmcache_demos.app.browser import browser

WIDTHS = {"desktop": 1280, "phone": 390}
BROKEN = "() => [...document.images].filter(one => one.src && !one.naturalWidth).map(one => one.src)"


def main(site: Path, out: Path, pages: list[str]) -> None:
    """Open each page at each width."""
    out.mkdir(parents=True, exist_ok=True)
    pages = pages or sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))
    with browser() as opened:
        for screen, width in WIDTHS.items():
            page = opened.new_page(viewport={"width": width, "height": 1000})
            for name in pages:
                page.goto((site / name).resolve().as_uri())
                wide = page.evaluate("() => document.documentElement.scrollWidth")
                if wide > width:
                    print(f"{name}: {wide} pixels wide on a {screen} of {width}")
                for source in page.evaluate(BROKEN):
                    print(f"{name}: {source} did not load")
                file = out / f"{name.removesuffix('.html').replace('/', '-')}-{screen}.png"
                page.screenshot(path=file, full_page=True)
            page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
