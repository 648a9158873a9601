"""The house: folders are layers, imports go one way, files stay small, adapters are data."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From what describes to what uses; a file may import from its own folder and those before it.
LAYERS = (
    *("mmcache.errors", "mmcache.patching", "mmcache.compat", "mmcache.clocks", "mmcache.plans"),
    *("mmcache.layouts", "mmcache.architectures", "mmcache.macs", "mmcache.engine", "mmcache.api"),
    *("mmcache.testing", "mmcache.tools.loading", "mmcache.tools.media", "mmcache.tools.quality"),
    *("mmcache.tools.running", "mmcache.tools.tasks", "mmcache.tools.comparison"),
    *("mmcache.tools.inspecting", "mmcache.tools.sweeping", "mmcache.tools.tuning"),
    *("mmcache", "mmcache.cli", "mmcache_demos"),
)
# The command line and the demos need not be there for the library; where they call them, they say so.
LATE = {("mmcache.cli", "mmcache_demos")}
FOR_ADAPTERS = {
    *("mmcache.extend", "mmcache.architectures", "mmcache.layouts", "mmcache.plans", "mmcache.patching"),
    "mmcache.errors",
}


def module_of(path: Path) -> str:
    """The dotted name of a source file of either distribution."""
    below = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("mmcache_demos", *below[1:]) if below[0] == "demos" else below)


def layer_of(module: str) -> str | None:
    """The folder (or file) of `LAYERS` that a module belongs to, the longest name that fits."""
    fits = [name for name in LAYERS if module == name or module.startswith(f"{name}.")]
    return max(fits, key=len, default=None)


def imported(path: Path) -> set[str]:
    """The modules of mmcache and its demos that a file imports."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    return {node.module for node in nodes if node.module and node.module.split(".")[0].startswith("mmcache")}


def sources() -> list[Path]:
    return [path for folder in ("mmcache", "demos") for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_imports_go_one_way(path):
    own = layer_of(module_of(path))
    for name in imported(path):
        other = layer_of(name)
        allowed = LAYERS.index(other) <= LAYERS.index(own) or (own, other) in LATE or own == "mmcache"
        assert allowed, f"{module_of(path)} imports {name}"


def test_adapters_import_only_what_describes_and_nobody_imports_an_adapter():
    for path in (ROOT / "adapters").glob("*.py"):
        assert {layer_of(name) for name in imported(path)} <= FOR_ADAPTERS, path.name
    for path in (*sources(), *(ROOT / "tests").rglob("*.py")):
        assert not any(re.match(r"mmcache\.adapters\b", name) for name in imported(path)), path


def test_adapters_are_small():
    for path in (ROOT / "adapters").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 30, path.name


def test_files_stay_small():
    for path in (*(ROOT / "mmcache").rglob("*.py"), *(ROOT / "demos" / "app").glob("*.py")):
        assert len(path.read_text().splitlines()) <= 260, path
