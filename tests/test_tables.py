"""What the commands print: no figure is cut at any width, and a pipe has no width."""

import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

import pytest
from rich.console import Console

import mmcache
from mmcache.architectures.catalog import catalog
from mmcache.cli.catalog import adapters_table, all_presets, presets_table
from mmcache.plans.presets import families, load_preset, presets
from mmcache.tools.calibrating.calibrate import Calibrated
from mmcache.tools.calibrating.calibrated_table import calibrated_table
from mmcache.tools.comparison.comparison_table import comparison_table
from mmcache.tools.inspecting.check_table import check_table
from mmcache.tools.inspecting.checking import check_model
from mmcache.tools.inspecting.inspection import inspect
from mmcache.tools.inspecting.inspection_table import inspection_table, similarity_table
from mmcache.tools.inspecting.model_parts import parts_of_pipeline
from mmcache.tools.inspecting.similarity import feature_similarity
from mmcache.tools.quality.confidence import Mean
from mmcache.tools.sweeping.table import terminal
from mmcache.tools.tables import Column, FigureTable
from mmcache.tools.tuning.tune import Tuned
from mmcache.tools.tuning.tuned_table import tuned_table
from mmcache_demos.paper.printed_figures import PRINTED_RUNS
from mmcache_demos.paper.reproduction import CountedRun, PaperComparison, StepMacs
from mmcache_demos.paper.tables import paper_tables
from tests.tiny_prompted import prompted

WIDTHS = (40, 60, 80, 200)
FIGURE = re.compile(r"\(?\d[\d.]*(?: ± [\d.]+)?(?:x|G|T|M|%)?\)?")

pytestmark = pytest.mark.filterwarnings("ignore:.*leave little to reuse")


def printed(what, width: int) -> str:
    """As a terminal of this width gets it."""
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, markup=False, emoji=False).print(what)
    return out.getvalue()


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """What each command shows, by its name."""
    pipe, folder = prompted(), tmp_path_factory.mktemp("sweep")
    plan = mmcache.Plan(mmcache.StepMask(range(0, 50, 3)), mmcache.Taylor(1, repaid=0.5), "none")
    mean = Mean(63.04, 4.81, 16)
    grid = {"intervals": (2,), "branches": (0,), "steps": 3}
    swept = mmcache.sweep(pipe, ["a person", "a hat"], folder / "out", **grid)
    steps = StepMacs(
        full={"paper": 338_830_000_000, "everything": 401_660_000_000},
        cached=({"paper": 31_230_000_000, "everything": 42_540_000_000},) * 6,
    )
    runs = tuple(CountedRun(row, steps) for row in PRINTED_RUNS)
    return {
        "adapters": adapters_table(catalog()),
        "presets": presets_table(all_presets()),
        "compare": comparison_table(mmcache.compare(pipe, "a person", steps=4), [folder / "a.png"]),
        "sweep": terminal(swept),
        "tune": tuned_table(
            Tuned(plan, 2.5, mean, mean, {"Hold()": mean, "Taylor(1)": mean}, 58), folder / "p.yaml"
        ),
        "calibrate": calibrated_table(
            Calibrated({"2.5x": plan}, {"2.5x": 2.5}, {"2.5x": 51.2}, {"2.5x": mean}, 12.5), folder / "p.yaml"
        ),
        "inspect": inspection_table(inspect(pipe)[0]),
        "similarity": similarity_table(feature_similarity(pipe, "a person", steps=4)[0]),
        "check": check_table(check_model("tiny", parts_of_pipeline(pipe), plan="fast")),
        "paper": paper_tables(PaperComparison(runs, ((PRINTED_RUNS[0].model, steps),))),
    }


@pytest.mark.parametrize("width", WIDTHS)
def test_no_figure_is_cut_and_no_line_is_too_long(width, tables):
    for name, table in tables.items():
        whole = printed(table, 10_000)
        narrow = printed(table, width)
        assert "…" not in narrow, name
        paths = [line for line in whole.splitlines() if line.startswith("/")]
        for line in narrow.splitlines():
            assert len(line.rstrip()) <= width or line in paths, (name, line)
        words = set(narrow.split())
        margins_dropped = name == "sweep"
        for figure in FIGURE.findall(whole):
            if not margins_dropped and not any(figure in path for path in paths):
                assert set(figure.split()) <= words or figure in narrow.replace("\n", ""), (name, figure)


def test_costs_that_a_short_run_answers_by_one_plan_are_one_row_of_calibrate(tmp_path):
    more, few = (mmcache.Plan(mmcache.StepMask(steps), branch="none") for steps in ([0, 3, 6], [0, 5]))
    plans = {"2.5x": more, "3.5x": few, "5x": few}
    found = Calibrated(plans, {"2.5x": 2.5, "3.5x": 4.0, "5x": 4.0}, dict.fromkeys(plans, 30.0), {}, 3.0)
    lines = printed(calibrated_table(found, tmp_path), 200).splitlines()
    firsts = [line.strip().split("  ")[0] for line in lines]
    assert [first for first in firsts if re.match(r"\d.*x$", first)] == ["2.5x", "3.5x, 5x"]


def test_a_narrow_sweep_leaves_out_margins_and_keeps_every_figure(tables):
    rows = [line for line in printed(tables["sweep"], 10_000).splitlines() if "x " in line][:8]
    narrow = printed(tables["sweep"], 60)
    assert " ± " not in narrow.partition("Recommended")[0].partition("Each configuration")[0]
    for row in rows:
        for figure in re.findall(r"(?<![\d.± ])[\d.]+x|\d+\.\d+(?= ±)", row):
            assert figure in re.split(r"[\s()]+", narrow), row


def test_names_of_classes_are_whole_in_a_pipe_and_at_40_columns(tables):
    classes = [name for entry in catalog() for name in entry.classes]
    for width in (40, 80, 10_000):
        words = set(printed(tables["adapters"], width).split())
        assert set(classes) <= words, width


@pytest.mark.parametrize("width", WIDTHS)
def test_help_cuts_no_name_and_no_default(width):
    """In a process of its own, which asks for its width once."""
    code = """
import click, typer
from typer.testing import CliRunner
from mmcache.cli import app
for name, command in typer.main.get_command(app).commands.items():
    said = CliRunner().invoke(app, [name, "--help"]).output
    assert "\N{HORIZONTAL ELLIPSIS}" not in said, said
    names = [one for parameter in command.params for one in parameter.opts if one.startswith("--")]
    assert names and all(one in said.split() for one in names), (name, names, said)
"""
    environment = {**os.environ, "COLUMNS": str(width)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_a_table_refuses_rows_of_another_length():
    with pytest.raises(ValueError, match="2 cells"):
        FigureTable([Column("one")]).add_row("a", "b")


WITHOUT_WIDTH = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}


def in_terminal(command: list[str], width: int) -> list[str]:
    """The lines of a process of its own, since what is a terminal is the system's to say."""
    inner, outer = pty.openpty()
    ioctl(outer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    process = subprocess.Popen(command, stdout=outer, stderr=outer, stdin=outer, env=WITHOUT_WIDTH)
    os.close(outer)
    said = b""
    try:
        while chunk := os.read(inner, 65536):
            said += chunk
    except OSError:  # Linux says so at the end
        pass
    assert process.wait() == 0
    os.close(inner)
    return re.sub(r"\x1b\[[\d;]*m", "", said.decode()).splitlines()


@pytest.mark.parametrize("width", [40, 80])
def test_a_terminal_has_a_width_and_a_pipe_has_none(width):
    command = [sys.executable, "-m", "mmcache", "presets"]
    assert max(map(len, in_terminal(command, width))) <= width
    piped = subprocess.run(command, capture_output=True, text=True, check=True, env=WITHOUT_WIDTH).stdout
    evidence = load_preset(presets()["fast"]).evidence
    assert " ".join(evidence.split()) in " ".join(piped.split())
    assert any(evidence.strip() in line for line in piped.splitlines())
    assert len(re.findall(r"^balanced ", piped, re.MULTILINE)) == len(families())


def test_the_command_that_follows_a_check_can_be_copied():
    lines = in_terminal([sys.executable, "-m", "mmcache", "check", "text-to-image"], 40)
    assert lines[-1] == "Next: mmcache compare --model text-to-image"
    assert max(map(len, lines[:-1])) <= 40
