"""What caching saves and what it costs, measured."""
