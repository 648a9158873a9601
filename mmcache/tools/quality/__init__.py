"""How close a cached image or video is to the full one."""
