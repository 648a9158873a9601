"""The demo: a page that compares cached with full, side by side.

    from mmcache_demos.app import launch
    launch()

On the command line it is `mmcache demo`. Gradio and torch are imported when one of these is called.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gradio

    from mmcache_demos.app.server import Server


def build(server: "Server | None" = None, folder: Any = None) -> "gradio.Blocks":
    """The page, for a server of your own; see `mmcache_demos.app.page.build`.

    Args:
        server: what it offers; None for the shipped miniatures.
        folder: for visitors' files.

    Raises:
        MissingExtraError: gradio is not installed.
    """
    from mmcache_demos.app.server import Server, page_of, require_gradio

    require_gradio()
    return page_of(server or Server(), folder)


def launch(server: "Server | None" = None) -> None:
    """Serve the page until Ctrl-C; see `mmcache_demos.app.server.launch`.

    Args:
        server: where and what it offers; None for the shipped miniatures on this machine alone.

    Raises:
        MissingExtraError: gradio or what it shows is not installed.
        OSError: the port is taken.
    """
    from mmcache_demos.app.server import Server
    from mmcache_demos.app.server import launch as serve

    serve(server or Server())
