"""The notebooks run from beginning to end, on the miniature; what is stored has its outputs."""

import os
import re
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


STEPS = re.compile(r"""(steps"?[=:] ?)(?:16|30)\b""")  # those of runs of the miniature
FORGET = nbformat.v4.new_code_cell("%reset -f")


def run(notebook, folder, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    errors = [o for cell in notebook.cells for o in cell.get("outputs", ()) if o.output_type == "error"]
    assert not errors


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    run(nbformat.read(path, 4), tmp_path, monkeypatch)


def test_all_notebooks_run_with_fewer_steps(tmp_path, monkeypatch):
    """One after the other in one kernel, since imports are what costs; none sees another's names."""
    together, shortened = nbformat.v4.new_notebook(), 0
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "code":
                cell.source, count = STEPS.subn(r"\g<1>9", cell.source)
                shortened += count
                together.cells.append(cell)
        together.cells.append(FORGET)
    assert shortened == 3
    run(together, tmp_path, monkeypatch)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stored_notebook_has_outputs_and_names_no_machine(path):
    notebook = nbformat.read(path, 4)
    assert any(cell.get("outputs") for cell in notebook.cells)
    text = path.read_text()
    assert len(text) < 2_000_000
    assert os.path.expanduser("~") + "/" not in text
    assert "/tmp/" not in text
