"""Measurements on small diffusion transformers: one that was trained, and random ones of other shapes."""
