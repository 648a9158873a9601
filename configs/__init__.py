"""Named plans as files; `mmcache.presets()` lists them."""
