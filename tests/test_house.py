"""The house: folders are layers, imports go one way, files stay small, adapters are data."""

import ast
import re
from pathlib import Path

import pytest

from mmcache.architectures.registry import known

ROOT = Path(__file__).parent.parent

# From what describes to what uses; a file may import from its own folder and those before it.
LAYERS = (
    *("mmcache.caller", "mmcache.markup"),
    *("mmcache.errors", "mmcache.patching", "mmcache.compat", "mmcache.clocks", "mmcache.plans"),
    *("mmcache.layouts", "mmcache.architectures", "mmcache.macs", "mmcache.engine", "mmcache.api"),
    *(
        "mmcache.testing",
        "mmcache.tools.model_source",
        "mmcache.tools.hub",
        "mmcache.tools.tables",
        "mmcache.tools.loading",
        "mmcache.tools.media",
        "mmcache.tools.quality",
    ),
    *("mmcache.tools.running", "mmcache.tools.tasks", "mmcache.tools.comparison"),
    *("mmcache.tools.inspecting", "mmcache.tools.sweeping", "mmcache.tools.tuning"),
    "mmcache.tools.calibrating",
    "mmcache.tools.generating",
    *("mmcache", "mmcache.cli", "mmcache_demos"),
)
# The command line and the demos need not be there for the library; where they call them, they say so.
LATE = {("mmcache.cli", "mmcache_demos")}


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


def test_adapters_import_from_one_place_and_nobody_imports_an_adapter():
    for path in (ROOT / "adapters").glob("*.py"):
        assert imported(path) <= {"mmcache.extend"}, path.name
    for path in (*sources(), *(ROOT / "tests").rglob("*.py")):
        assert not any(re.match(r"mmcache\.adapters\b", name) for name in imported(path)), path


def test_adapters_are_small():
    """An architecture is a file of at most 30 lines. A file that describes several classes lists data for
    each of them (streams, shapes of a call): fourteen lines more for each class behind the first.
    """
    classes = known().denoisers.keys() | known().side_networks.keys()
    for path in (ROOT / "adapters").glob("*.py"):
        texts = {
            node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)
        }
        more = max(0, len(texts & classes) - 1)
        assert len(path.read_text().splitlines()) <= min(30 + 14 * more, 260), path.name


def test_files_stay_small():
    for path in (*(ROOT / "mmcache").rglob("*.py"), *(ROOT / "demos" / "app").glob("*.py")):
        assert len(path.read_text().splitlines()) <= 260, path
