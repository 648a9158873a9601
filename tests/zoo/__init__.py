"""Every pipeline class of diffusers with a denoiser that mmcache knows, small and random.

`CASES` has them all, from the modules of this folder and of the folders in it.
"""

import importlib
import pkgutil
from dataclasses import replace

from tests.zoo.case import Case


def collect() -> list[Case]:
    """The `CASES` of all modules of this folder and those in it.

    Raises:
        ValueError: two cases have the same name.
    """
    modules = [module.name for module in pkgutil.walk_packages(__path__, f"{__name__}.")]
    cases = [
        replace(case, folder=name.removeprefix(f"{__name__}.").rpartition(".")[0], first=number == 0)
        for name in modules
        for number, case in enumerate(getattr(importlib.import_module(name), "CASES", []))
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
