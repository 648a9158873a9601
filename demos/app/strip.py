"""The step strip: a bar for each sampling step, as tall as the work it takes, in the colour of what ran."""

from collections.abc import Sequence

from mmcache.markup import Bar, summary, words
from mmcache_demos.app.markup import join, text


def strip(bars: Sequence[Bar], total: int = 0) -> str:
    """The strip as HTML, styled by the page.

    Args:
        bars: of the steps that are known.
        total: how many steps there will be; those that are not known yet are empty.
    """
    empty = "<i></i>" * max(0, total - len(bars))
    drawn = join(
        f'<i class="{one.kind}" style="--share:{one.share:.3f}" title="{text(words(index, one))}"></i>'
        for index, one in enumerate(bars)
    )
    return f'<span class="mm-strip" role="img" aria-label="{text(summary(bars))}">{drawn}{empty}</span>'
