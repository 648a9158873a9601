"""Trains and judges the ControlNet miniature: portraits drawn along given edges."""
