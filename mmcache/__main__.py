"""`python -m mmcache` is the command `mmcache`."""

from mmcache.cli import app

app(prog_name="mmcache")
