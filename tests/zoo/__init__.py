"""Every pipeline class of diffusers with a denoiser that mmcache knows, small and random.

`CASES` has them all, from the modules of this folder and of the folders in it.
"""

import importlib
import pkgutil
from dataclasses import replace
from importlib.metadata import version

from packaging.version import Version

from tests.zoo.case import Case

# With these and newer versions every module can be imported; with older ones those of newer pipelines cannot.
COMPLETE = {"diffusers": "0.42", "transformers": "5"}


def older_than_complete() -> bool:
    return any(Version(version(name)) < Version(complete) for name, complete in COMPLETE.items())


def cases_of(module: str) -> list[Case]:
    """The `CASES` of a module; none where an older diffusers or transformers lacks what it imports."""
    try:
        return getattr(importlib.import_module(module), "CASES", [])
    except (ImportError, AttributeError, RuntimeError):
        if older_than_complete():
            return []
        raise


def collect() -> list[Case]:
    """The `CASES` of all modules of this folder and those in it.

    Raises:
        ValueError: two cases have the same name.
    """
    modules = [module.name for module in pkgutil.walk_packages(__path__, f"{__name__}.")]
    cases = [
        replace(case, folder=name.removeprefix(f"{__name__}.").rpartition(".")[0], first=number == 0)
        for name in modules
        for number, case in enumerate(cases_of(name))
    ]
    names = [case.name for case in cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two cases have the name {', '.join(twice)}: put a variant in brackets behind it")
    return cases


CASES = collect()
TRANSFORMERS = [case for case in CASES if case.folder == "transformers"]
MODULAR = [case for case in CASES if case.folder == "modular"]
U_NETS = [case for case in CASES if not case.folder]
