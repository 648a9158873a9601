"""Trains and judges the inpainting miniature: edits of portraits, and masks around them."""
