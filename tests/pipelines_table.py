"""A pytest plugin: writes the table of pipelines and laws from what the tests recorded."""

import datetime
import subprocess
from collections import defaultdict
from pathlib import Path

HEAD = """# Every pipeline and every law

Each pipeline class of diffusers that samples with a U-Net, built small with random weights and run for
six steps. A law holds (✓) if it held bit for bit; "-" stands where there is nothing to hold. The laws
are those of `mmcache.testing`; "saves" says that the multiply-adds of a run are those of its full and
its cached calls, and fewer than without caching. {settings}

"Fewer MACs" is a run of these tiny models at interval 2, branch 0: real models, whose deep parts are
larger, save more. This page is written by

```
{command}
```
"""
COMMAND = "pytest tests/test_pipelines.py -n auto --pipelines-table docs/pipelines.md"
OF_TRANSFORMERS = """# Every pipeline with a diffusion transformer

Each pipeline class of diffusers that samples with a transformer, built small with random weights and run for
six steps. A law holds (✓) if it held bit for bit; "-" stands where there is nothing to hold, or multiply-adds
cannot be counted. The laws are those of `mmcache.testing`, with guidance:

- at every branch: "same input", a cached step right after a full one on the same input gives the same output;
  "cheaper", a cached step has the multiply-adds that its cut predicts;
- "interval 1": nothing cached, nothing changed;
- at interval 2, branch 0: "one feature", what is held is what the report says, and nothing after the run;
  "saves", the multiply-adds of a run are those of its full and its cached calls, and fewer than without
  caching; "restore", "fresh" and "independent", nothing is left behind on the pipeline, for its next call, or
  for another one with the same models. For the first pipeline of every file in tests/zoo/transformers these
  three also held at interval 1, and at interval 3 without guidance at the deepest branch.

Tiny models have few blocks, of which one at either end is much: real ones save more. `FluxPriorReduxPipeline`
has no row: it only makes a prompt for `FluxPipeline`. `EasyAnimateControlPipeline` is called without an
argument that diffusers 0.42 gives to a method that does not know it. This page is written by

```
pytest tests/test_transformer_pipelines.py -n auto -m "slow or not slow" \\
    --pipelines-table docs/transformers.md
```
"""
OF_MODULAR = """# Every family of modular pipelines

Each family of diffusers 0.42's modular pipelines, built small with random weights and run for six steps, from
embeddings to latents. A law holds (✓) if it held bit for bit; "-" stands where there is nothing to hold, or
multiply-adds cannot be counted. The laws are those of `mmcache.testing`, as for
[classic pipelines with a transformer](transformers.md). The guider's passes (with and without the prompt) are
lanes of one step, each with a cache of its own.

Tiny models have few blocks, of which one at either end is much: real ones save more. This page is written by

```
pytest tests/test_modular_pipelines.py -n auto -m "slow or not slow" --pipelines-table docs/modular.md
```
"""
QUICK = """Here "same input" held at every branch, and the others at interval 2 with guidance, branch 0. With
`-m "slow or not slow"` the command runs all laws at intervals 1, 2 and 3, with guidance and without."""
ALL = """Here "same input" and "cheaper" held at every branch and, as "interval 1", at both settings of
guidance; the others at intervals 1 and 2 with guidance, branch 0, and at interval 3 without, at the
deepest branch."""
TITLES = {"controlnet": "ControlNet"}
LAWS = (
    *("same input", "cheaper", "interval 1", "restore", "fresh", "independent", "one feature", "saves"),
    "side networks",
)
MARKS = {"passed": "✓", "failed": "✗", "skipped": "-"}


class PipelinesTable:
    def __init__(self, path):
        self.path = path
        self.laws = defaultdict(dict)  # by (family, pipeline), by law
        self.saved = {}
        self.refused = {}
        self.command, self.settings = COMMAND, QUICK
        self.head = ""

    def pytest_runtest_logreport(self, report):
        if report.when == "teardown" or (report.when == "setup" and report.outcome == "passed"):
            return
        found = [value for name, value in report.user_properties if name == "law"]
        for index, (family, pipeline, law) in enumerate(found):
            # A law is recorded when its check begins: what stopped the test is the last one.
            mark = MARKS[report.outcome] if index == len(found) - 1 else MARKS["passed"]
            if self.laws[family, pipeline].get(law) != MARKS["failed"]:
                self.laws[family, pipeline][law] = mark
        if "test_transformer_pipelines" in report.nodeid:
            self.head = OF_TRANSFORMERS
        if "test_modular_pipelines" in report.nodeid:
            self.head = OF_MODULAR
        properties = dict(report.user_properties)
        if "slow" in report.keywords:
            self.command, self.settings = COMMAND.replace("-n", '-m "slow or not slow" -n'), ALL
        if "saved" in properties:
            pipeline, parts, ratio = properties["saved"]
            self.saved[pipeline] = parts, f"{ratio:.2f}x"
        if "refused" in properties:
            family, pipeline, reason = properties["refused"]
            self.refused[family, pipeline] = reason

    def pytest_sessionfinish(self, session):
        if not hasattr(session.config, "workerinput"):  # not in the workers of pytest-xdist
            self.path.write_text(self.text())

    def text(self):
        lines = [self.head or HEAD.format(command=self.command, settings=self.settings), written()]
        names = sorted({law for laws in self.laws.values() for law in laws}, key=order)
        for family in sorted({family for family, _ in self.laws}):
            lines += [
                f"\n## {TITLES.get(family, family.capitalize())}\n",
                row("pipeline", "cached parts", "fewer MACs", *names),
            ]
            lines.append(row(*["---"] * (3 + len(names))))
            for (of, pipeline), laws in sorted(self.laws.items()):
                if of == family:
                    saved = self.saved.get(pipeline, ("", ""))
                    marks = (laws.get(name, MARKS["skipped"]) for name in names)
                    lines.append(row(f"`{pipeline}`", *saved, *marks))
        if self.refused:
            lines += ["\n## Refused\n", row("pipeline", "what it is told"), row("---", "---")]
            lines += [row(f"`{pipeline}`", why) for (_, pipeline), why in sorted(self.refused.items())]
        return "\n".join(lines) + "\n"


def written():
    """Of which commit the table is, and when it was made."""
    git = ("git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD")
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    return f"Of commit {commit}, {datetime.date.today():%Y-%m-%d}."


def order(law):
    """The laws' own order, any others behind them."""
    return LAWS.index(law) if law in LAWS else len(LAWS)


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def pytest_addoption(parser):
    parser.addoption("--pipelines-table", type=Path, help="write the table of pipelines and laws here")


def pytest_configure(config):
    if path := config.getoption("--pipelines-table"):
        config.pluginmanager.register(PipelinesTable(path))
