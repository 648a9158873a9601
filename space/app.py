"""The Space: mmcache's demo on the shipped miniatures, open to whoever finds it.

The packages lie beside this file, as docs/space.md says; from a clone it runs with what is installed.
"""

import os

from mmcache_demos.app import launch
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.server import Server

CORES = 2  # of a free Space; torch would take those of the machine that it runs on
HUB = "https://huggingface.co"  # shows a Space in a frame

# All visitors have the proxy's address, so what one address may lay down is what all may.
limits = Limits(steps=60, side=256, frames=8, waiting=30, visitor_bytes=Limits.all_bytes)

# A Space says by these where it is reached.
host = os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0")
port = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))

if __name__ == "__main__":
    launch(Server(host=host, port=port, limits=limits, threads=CORES, framed_by=(HUB,)))
