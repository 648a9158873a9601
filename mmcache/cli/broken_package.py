"""Which package of the environment cannot be imported, where libraries import whatever they find."""

from types import TracebackType

OURS = "mmcache"


def broken_package(error: BaseException) -> str:
    """What is wrong with the environment, as a sentence; "" if an error is none of a foreign import.

    diffusers and transformers import optional packages that are there, and wrap what goes wrong in errors
    that name their own classes. The first error of the chain names the package.
    """
    failures = [one for one in chain(error) if isinstance(one, ImportError)]
    if not failures:
        return ""
    first = failures[-1]
    importer = importing_package(first.__traceback__)
    ours = any(name.partition(".")[0].startswith(OURS) for name in (importer, first.name or ""))
    if not importer or ours:
        return ""
    return (
        f"the package {importer} cannot be imported here: {first}. Install what it lacks, or remove it if "
        f"you do not need it. `pip check` names packages that lack others."
    )


def chain(error: BaseException | None) -> list[BaseException]:
    """An error and its causes, the first of them last."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def importing_package(traceback: TracebackType | None) -> str:
    """The package whose line raised; "" if there is none."""
    found = ""
    while traceback is not None:
        name = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if not name.startswith(("importlib", "_frozen_importlib")):
            found = name.partition(".")[0]
        traceback = traceback.tb_next
    return found
