"""The two distributions: pyproject.toml lists what the tree has, and the wheel of the library is small."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parent.parent
DISTRIBUTIONS = (ROOT, ROOT / "demos")
# Files that belong to the tree and not to a wheel.
NOT_INSTALLED = {"pyproject.toml", "README.md"}


def setuptools_table(distribution: Path) -> dict:
    return tomllib.loads((distribution / "pyproject.toml").read_text())["tool"]["setuptools"]


def folders(distribution: Path) -> dict[str, Path]:
    """The folder of every package that a distribution lists."""
    table = setuptools_table(distribution)

    def folder(package: str) -> Path:
        known = [name for name in table["package-dir"] if f"{package}.".startswith(f"{name}.")]
        name = max(known, key=len)
        below = package[len(name) :].split(".")
        return distribution.joinpath(table["package-dir"][name], *filter(None, below))

    return {package: folder(package) for package in table["packages"]}


def files_of_tree() -> list[Path]:
    """The files that git tracks, or would if they were added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a clone: git does not list the files")
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).exists()]


def installed_data(distribution: Path) -> set[Path]:
    """The files that the patterns of a distribution's package data match."""
    found: set[Path] = set()
    for package, patterns in setuptools_table(distribution)["package-data"].items():
        for pattern in patterns:
            matched = {path for path in folders(distribution)[package].glob(pattern) if path.is_file()}
            assert matched, f"{package}: no file matches {pattern}"
            found |= matched
    return found


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=["mmcache", "mmcache-demos"])
def test_every_folder_with_python_files_is_a_listed_package(distribution):
    listed = folders(distribution)
    assert all(folder.is_dir() for folder in listed.values()), listed
    roots = {distribution / name for name in setuptools_table(distribution)["package-dir"].values()}
    in_tree = {path.parent for path in files_of_tree() if path.suffix == ".py"}
    in_tree = {folder for folder in in_tree if any(folder.is_relative_to(root) for root in roots)}
    assert in_tree <= set(listed.values())
    # `configs` has plans and no module.
    assert {folder for folder in listed.values() if not list(folder.glob("*.py"))} <= {ROOT / "configs"}


def test_every_other_file_of_a_package_is_package_data():
    installed = set().union(*map(installed_data, DISTRIBUTIONS))
    roots = [ROOT / name for name in ("mmcache", "adapters", "configs", "demos")]
    data = {
        path
        for path in files_of_tree()
        if any(path.is_relative_to(root) for root in roots)
        and path.suffix != ".py"
        and (path.name not in NOT_INSTALLED or "miniatures" in path.parts)
    }
    assert data == installed & set(files_of_tree())


def test_the_library_is_small():
    """The wheel stays below 2 MB: all that goes into it is, before it is compressed."""
    code = {path for folder in folders(ROOT).values() for path in folder.glob("*.py")}
    assert sum(path.stat().st_size for path in code | installed_data(ROOT)) < 2_000_000


def test_demos_ask_for_the_library():
    project = tomllib.loads((ROOT / "demos" / "pyproject.toml").read_text())["project"]
    assert any(re.match(r"mmcache\b(?!-)", name) for name in project["dependencies"])
