"""A Sphinx extension: every public name stands in the reference, with a docstring; else the build warns."""

import dataclasses
import inspect
from importlib import import_module
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

MODULES = ("mmcache", "mmcache.extend", "mmcache.testing")

log = logging.getLogger(__name__)


def is_code(member: Any) -> bool:
    """Whether a member of a class is a method or a property, not a value."""
    kinds = (property, classmethod, staticmethod)
    return inspect.isroutine(member) or isinstance(member, kinds)


def leave_out_fields(app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Fields of a class stand in its docstring; its methods are listed, with a docstring or a warning."""
    if name.startswith("_"):
        return None
    return not is_code(member) if what == "class" else None


def warn_of_no_docstring(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Warn where there are no words, or only those that `dataclass` writes itself."""
    words = " ".join(lines).strip()
    generated = dataclasses.is_dataclass(thing) and words.startswith(f"{name.rpartition('.')[2]}(")
    if what != "data" and (not words or generated):
        log.warning("%s has no docstring", name, type="public_names")


def warn_of_missing_names(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of a public name that no page documents."""
    documented = env.domains.python_domain.objects
    known = [
        getattr(import_module(module), name)
        for module in MODULES
        for name in import_module(module).__all__
        if f"{module}.{name}" in documented
    ]
    for module in MODULES:
        for name in import_module(module).__all__:
            thing = getattr(import_module(module), name)
            if f"{module}.{name}" not in documented and not any(thing is other for other in known):
                log.warning("%s.%s stands on no page of docs/reference", module, name, type="public_names")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-skip-member", leave_out_fields)
    app.connect("autodoc-process-docstring", warn_of_no_docstring)
    app.connect("env-check-consistency", warn_of_missing_names)
    return {"parallel_read_safe": True}
