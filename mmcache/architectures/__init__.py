"""What mmcache knows of model classes: adapters, their registry, and inference for unknown ones."""
