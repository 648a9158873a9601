"""Calibration from a recording: plans of all costs from one full run of some prompts."""
