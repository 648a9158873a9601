"""The house: imports go one way, files stay small, adapters are data."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent

# From what describes to what uses; a file may import from its own layer and those before it.
LAYERS = [
    {"errors"},
    {"clocks.clock", "cuts.cut", "plans.policy", "plans.forecast", "plans.made_for", "plans.plan", "adapter"},
    {"cuts", "transformer"},
    {"registry", "plans"},
    {
        "caller",
        "counting",
        "macs",
        "clocks.timestep_clock",
        "engine.deferred",
        "engine.record",
        "engine.shadow",
        "engine.group_offload",
        "engine.history",
        "engine.attention_readers",
        "engine.other_caches",
        "engine.proof",
        "engine.call_macs",
    },
    {"clocks", "general", "parts"},
    {"engine.caching_scheduler"},
    {"engine", "report"},
    {"session"},
    {"refusals"},
    {"acceleration"},
    {"testing"},
]
DESCRIBING = set().union(*LAYERS[:3], {"registry"})


def files_of(name: str) -> list[Path]:
    """The file of a module, or those of a package."""
    place = ROOT.joinpath("mmcache", *name.split("."))
    return sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def imported(path: Path) -> set[str]:
    """The mmcache modules that a file imports, by their names below the package."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mmcache"):
            below = (node.module or "").partition(".")[2]
            names |= {below} if below else {alias.name for alias in node.names}
    return names


def beyond(path: Path, allowed: set[str]) -> set[str]:
    """What a file imports that is neither one of these modules nor in one of these packages."""
    return {name for name in imported(path) if not {name, name.split(".")[0]} & allowed}


def test_imports_go_one_way():
    for index, layer in enumerate(LAYERS):
        allowed = set().union(*LAYERS[: index + 1])
        seen_before = {file for lower in LAYERS[:index] for name in lower for file in files_of(name)}
        for file in [file for name in layer for file in files_of(name)]:
            if file not in seen_before:
                assert not beyond(file, allowed), f"{file.name} imports {beyond(file, allowed)}"


def test_every_module_of_the_engine_has_a_layer():
    layered = {file for layer in LAYERS for name in layer for file in files_of(name)}
    users = {"cli", "inspecting", "measuring", "paper", "sweeping", "testing", "tuning"}
    for path in (ROOT / "mmcache").rglob("*.py"):
        below = path.relative_to(ROOT / "mmcache")
        if below.parts[0] not in users and below.name not in ("__init__.py", "__main__.py", "loading.py"):
            assert path in layered, below


def test_adapters_import_only_what_describes_and_nobody_imports_an_adapter():
    for path in (ROOT / "adapters").glob("*.py"):
        assert not beyond(path, DESCRIBING), path.name
    for path in ROOT.rglob("*.py"):
        if "adapters" not in path.parts and not any(part.startswith(".") for part in path.parts):
            assert "adapters" not in imported(path), path


def test_adapters_are_small():
    for path in (ROOT / "adapters").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 30, path.name


def test_files_stay_small():
    for path in (*(ROOT / "mmcache").rglob("*.py"), *(ROOT / "demos" / "app").glob("*.py")):
        assert len(path.read_text().splitlines()) <= 260, path
