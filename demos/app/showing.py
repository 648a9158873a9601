"""One comparison as the page shows it, from the click to its end, however it ends."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

import gradio as gr

from mmcache_demos.app.gallery import gallery_markup
from mmcache_demos.app.messages import told_to_visitor
from mmcache_demos.app.progress import Seen
from mmcache_demos.app.visits import Past, Visit
from mmcache_demos.app.watching import Progress, Stopped

News = Generator[Progress | str | Past, None, None]
STOPPED = "Stopped. The next run is not touched by it."


def shown(begin: Callable[[], News], visit: Visit) -> Iterator[tuple[Any, ...]]:
    """What the page shows of a comparison.

    Args:
        begin: begins it; ValueError for what cannot be done.
        visit: whose gallery it goes to.

    Yields:
        Progress, result, gallery, and the button that stops it.

    Raises:
        gr.Error: it could not be done; what was shown before stays.
    """
    seen = Seen()
    can_stop, cannot_stop = gr.Button(interactive=True), gr.Button(interactive=False)
    try:
        with told_to_visitor(), closing(begin()) as all_news:
            for news in all_news:
                if isinstance(news, Past):
                    yield "", news.page, gallery_markup(visit.gallery), cannot_stop
                else:
                    seen.hears(news)
                    yield seen.markup(), gr.skip(), gr.skip(), can_stop
    except Stopped:
        # Without the two sides, so that the page shows the result from before again.
        yield (
            f'<div class="mm-progress"><p role="status">{STOPPED}</p></div>',
            gr.skip(),
            gr.skip(),
            cannot_stop,
        )
    except Exception:
        yield "", gr.skip(), gr.skip(), cannot_stop
        raise
