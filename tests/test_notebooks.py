"""The notebooks run from beginning to end, on the miniature; what is stored has its outputs."""

import os
import re
import warnings
from pathlib import Path

import pytest

matplotlib = pytest.importorskip("matplotlib")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


STEPS = re.compile(r"""(steps"?[=:] ?)(?:16|30)\b""")  # those of runs of the miniature
SHORTENED = {"first-steps": 2, "which-plan": 1, "write-an-adapter": 0}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook, resources = nbformat.read(path, 4), {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    errors = [o for cell in notebook.cells for o in cell.get("outputs", ()) if o.output_type == "error"]
    assert not errors


@pytest.fixture
def shell(elsewhere):
    """A notebook's Python without a process of its own, which would import everything anew."""
    from IPython.core.interactiveshell import InteractiveShell

    class Shell(InteractiveShell):
        def enable_gui(self, gui=None):
            """Nothing is drawn in a window."""

    before = matplotlib.get_backend()
    opened = Shell.instance(history_load_length=0)
    opened.history_manager.enabled = False
    formatter = opened.display_formatter
    formatter.active_types = formatter.format_types  # as a notebook asks for
    with warnings.catch_warnings(), matplotlib.rc_context():
        yield opened
    matplotlib.use(before)
    opened.reset()
    Shell.clear_instance()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_with_fewer_steps(path, shell):
    shortened = 0
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code":
            source, count = STEPS.subn(r"\g<1>9", cell.source)
            shortened += count
            shell.run_cell(source).raise_error()
    assert shortened == SHORTENED[path.stem]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stored_notebook_has_outputs_and_names_no_machine(path):
    notebook = nbformat.read(path, 4)
    assert any(cell.get("outputs") for cell in notebook.cells)
    text = path.read_text()
    assert len(text) < 2_000_000
    assert os.path.expanduser("~") + "/" not in text
    assert "/tmp/" not in text
