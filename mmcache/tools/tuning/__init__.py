"""Calibration: from a few runs of a pipeline to the plan that suits it (`mmcache.tune`)."""
