"""Programs that measure mmcache itself; each prints a ratio from one run."""
