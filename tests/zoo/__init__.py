"""Every pipeline class of diffusers with a denoiser that mmcache knows, small and random.

`CASES` has them all, from the modules of this folder and of the folders in it.
"""

import importlib
import pkgutil

from tests.zoo.case import Case


def collect() -> list[Case]:
    """The `CASES` of all modules of this folder and those in it.

    Raises:
        ValueError: two cases have the same name.
    """
    modules = [
        importlib.import_module(found.name) for found in pkgutil.walk_packages(__path__, f"{__name__}.")
    ]
    cases = [case for module in modules for case in getattr(module, "CASES", [])]
    names = [case.name for case in cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two cases have the name {', '.join(twice)}: put a variant in brackets behind it")
    return cases


CASES = collect()
