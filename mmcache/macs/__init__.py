"""Multiply-adds, counted without computing anything."""
