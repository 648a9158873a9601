"""The house: imports go one way, files stay small, adapters are data."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent

# From what describes to what uses; a file may import from its own layer and those before it.
LAYERS = [
    {"errors"},
    {"clock", "cut", "policy", "forecast", "plan", "adapter"},
    {"unet", "level_unet", "block_stack", "controlnet", "controlnet_xs"},
    {"registry", "plan_file"},
    {"caller", "deferred", "macs", "record", "shadow", "history", "timestep_clock", "attention_readers"},
    {"watched_scheduler", "scheduler_clock", "pipeline_clock", "parts"},
    {"caching_scheduler"},
    {"side_scheduler", "report"},
    {"session"},
    {"acceleration"},
    {"testing"},
]
DESCRIBING = {*LAYERS[0], *LAYERS[1], *LAYERS[2], "registry"}


def imported(path: Path) -> set[str]:
    """The mmcache modules that a file imports, by the first name below the package."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mmcache"):
            parts = node.module.split(".")
            names |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return names


def test_imports_go_one_way():
    for index, layer in enumerate(LAYERS):
        allowed = set().union(*LAYERS[: index + 1])
        for name in layer:
            path = ROOT / "mmcache" / f"{name}.py"
            for file in [path] if path.exists() else (ROOT / "mmcache" / name).glob("*.py"):
                assert imported(file) <= allowed, f"{file.name} imports {imported(file) - allowed}"


def test_adapters_import_only_what_describes_and_nobody_imports_an_adapter():
    for path in (ROOT / "adapters").glob("*.py"):
        assert imported(path) <= DESCRIBING, path.name
    for path in ROOT.rglob("*.py"):
        if "adapters" not in path.parts and not any(part.startswith(".") for part in path.parts):
            assert "adapters" not in imported(path), path


def test_adapters_are_small():
    for path in (ROOT / "adapters").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 30, path.name


def test_files_stay_small():
    for path in (ROOT / "mmcache").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 260, path
