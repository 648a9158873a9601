"""The trade-off, seen: many ways of caching on the same prompts, in tables and plots."""
