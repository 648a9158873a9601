"""What mmcache knows of model classes: adapters, their registry, and inference for unknown ones."""

ENTRY_POINT_GROUP = "mmcache.adapters"  # of packages that bring adapters of their own
