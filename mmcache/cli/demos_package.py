"""The demos are a distribution of their own: commands that need it say how to install it."""

from importlib import import_module
from typing import Any

from mmcache.errors import MissingExtraError

MINIATURES = "the shipped miniatures come"


def require_demos(what_comes: str, module: str = "") -> Any:
    """The package `mmcache_demos`, or one of its modules.

    Args:
        what_comes: the beginning of the error's sentence, such as "the demo comes".
        module: below the package.

    Raises:
        MissingExtraError: the distribution is not installed.
    """
    try:
        package = import_module("mmcache_demos")
    except ModuleNotFoundError as error:
        if error.name != "mmcache_demos":
            raise
        own = ", or choose your own pipeline with --model" if what_comes == MINIATURES else ""
        raise MissingExtraError(
            f"{what_comes} with mmcache-demos, which is not installed: pip install mmcache-demos "
            f"(in a clone: pip install -e demos){own}"
        ) from None
    return import_module(f"mmcache_demos.{module}") if module else package
