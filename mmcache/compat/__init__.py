"""Everything that is bound to somebody else's version: offload groups, attention processors, other caches."""
