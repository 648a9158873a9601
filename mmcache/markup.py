"""How results show themselves in a notebook: small HTML from plain values, where text never is markup."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

FULL, CACHED = "#6b6f7a", "#0b7285"  # the colours of the demo
USUAL_SHARE = 0.15  # of a full step's work: how tall a cached step is where its share is not known


class Bar(NamedTuple):
    """A step of a strip.

    Attributes:
        branch: that ran, by its name; None for a full step.
        share: of a full step's work.
    """

    branch: int | str | None
    share: float

    @property
    def kind(self) -> str:
        """Whether the step was full or cached."""
        return "full" if self.branch is None else "cached"


def words(index: int, one: Bar) -> str:
    """step 3: cached at branch 0."""
    return f"step {index + 1}: " + ("full" if one.branch is None else f"cached at branch {one.branch}")


def summary(bars: Sequence[Bar]) -> str:
    """50 steps: 17 full, 33 cached at branch 0."""
    cached = [str(one.branch) for one in bars if one.branch is not None]
    ending = f", {len(cached)} cached at branch {', '.join(sorted(set(cached)))}" if cached else ""
    return f"{len(bars)} steps: {len(bars) - len(cached)} full{ending}"


def strip(bars: Sequence[Bar]) -> str:
    """A bar for each sampling step, as tall as the work it takes, in the colour of what ran."""
    drawn = "".join(
        f'<i title="{text(words(index, one))}" style="flex:1 1 0;min-width:1px;border-radius:1px;background:'
        f'{FULL if one.branch is None else CACHED};height:max(3px,{100 * one.share:.0f}%)"></i>'
        for index, one in enumerate(bars)
    )
    style = "display:flex;align-items:flex-end;gap:1px;height:26px;max-width:40em;margin:0.3em 0"
    return f'<div role="img" aria-label="{text(summary(bars))}" style="{style}">{drawn}</div>'


def table(rows: Iterable[Sequence[object]], heads: Sequence[str] = ()) -> str:
    """A table; the first cell of each row names it where there are no heads."""
    top = "".join(f"<th>{text(head)}</th>" for head in heads)
    body = "".join(
        "<tr>"
        + "".join(
            f"<{tag}>{text(cell)}</{tag}>"
            for place, cell in enumerate(row)
            for tag in ["td" if heads or place else "th"]
        )
        + "</tr>"
        for row in rows
    )
    return f"<table>{f'<thead><tr>{top}</tr></thead>' if heads else ''}<tbody>{body}</tbody></table>"


def block(*parts: str, title: str = "") -> str:
    """Parts below each other, with a title."""
    head = f"<b>{text(title)}</b>" if title else ""
    return f'<div class="mmcache">{head}{"".join(parts)}</div>'


def listed(sentences: Iterable[str]) -> str:
    """A list of sentences; "" where there are none."""
    items = "".join(f"<li>{text(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def image(address: str, words: str) -> str:
    """An image by its address, which may hold it (data:image/png;base64,...)."""
    return f'<img src="{text(address)}" alt="{text(words)}" style="max-width:100%">'


def text(value: object) -> str:
    """As text, also within the quotes of an attribute."""
    return escape(str(value), quote=True)
