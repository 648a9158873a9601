"""`sweep(pipe, prompts, out)`: many plans on the same pictures, in tables and plots that tell them apart."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from mmcache.api.resolved_pipeline import find_denoisers
from mmcache.api.session import session_of
from mmcache.engine.few_steps import FEW_STEPS
from mmcache.errors import UnsupportedPipelineError
from mmcache.plans.forecast import Forecast
from mmcache.plans.plan import Plan
from mmcache.plans.policy import Policy
from mmcache.tools.comparison.batches import Wanted, wanted_pictures
from mmcache.tools.comparison.compare import draws_clips, own_progress_bar
from mmcache.tools.comparison.comparison import png
from mmcache.tools.comparison.sampling_settings import check_count, check_counts, check_prompt, settings_of
from mmcache.tools.media.output_folder import check_output, write_files
from mmcache.tools.media.plots import require_matplotlib
from mmcache.tools.quality.metrics import require_torchmetrics
from mmcache.tools.quality.quality import MS_SSIM, PSNR, SSIM, VMAF, Figure
from mmcache.tools.sweeping.drawing import Drawing, draw
from mmcache.tools.sweeping.folder import SweepFolder
from mmcache.tools.sweeping.grid import BRANCHES, FORECASTS, INTERVALS, POLICIES, grid
from mmcache.tools.sweeping.lines import Line
from mmcache.tools.sweeping.page import page
from mmcache.tools.sweeping.plot import pareto_png
from mmcache.tools.sweeping.result import Sweep, measured
from mmcache.tools.sweeping.settings import common_settings
from mmcache.tools.sweeping.sheet import contact_sheet, strip
from mmcache.tools.sweeping.table import csv_latents, csv_table, markdown

CSV, LATENTS, MARKDOWN = "table.csv", "latents.csv", "table.md"
PLOT, PAGE, SHEET = "pareto.png", "pareto.html", "contact-sheet.png"
FILES = (CSV, LATENTS, MARKDOWN, PLOT, PAGE, SHEET)
WARMUP = 2  # steps
BATCH = 8  # pictures


def sweep(
    pipe: Any,
    prompts: Sequence[str] | None,
    out: str | Path,
    *,
    seeds: int = 1,
    seed: int = 0,
    steps: int = 50,
    intervals: Sequence[int] = INTERVALS,
    branches: Sequence[int] = BRANCHES,
    forecasts: Sequence[Forecast] = FORECASTS,
    policies: Sequence[type[Policy]] = POLICIES,
    plans: Iterable[Plan] = (),
    last_output: bool = True,
    figures: Sequence[Figure] = (),
    notes: Sequence[str] = (),
    guidance_scale: float | None = None,
    batch: int = BATCH,
    progress: bool = False,
    **call: Any,
) -> Sweep:
    """Run a pipeline in full, under every plan of a grid, and with fewer steps, always from the same noise.

    Every finished line is in the folder at once; a sweep that was stopped goes on from there when it is asked
    for again, also with more lines. The pipe is afterwards what it was, also after an exception or Ctrl-C.

    Args:
        pipe: a diffusers pipeline that returns pictures or clips.
        prompts: what to draw; None for a pipeline that takes none.
        out: a folder, for the tables (CSV, Markdown), the Pareto plot (PNG, HTML) and the contact sheet.
        seeds: pictures of each prompt.
        seed: of the first picture's noise; the next picture has the next one.
        steps: sampling steps of the full and the cached runs.
        intervals, branches, forecasts, policies: every combination is a line. `NonUniform` takes the center
            and power that were published for the interval.
        plans: more lines.
        last_output: with lines that repeat the denoiser's last output instead of running a skip branch.
        figures: of quality, beside PSNR, SSIM, MS-SSIM and, of clips, VMAF.
        notes: to stand below the tables.
        guidance_scale: None for the pipeline's own default.
        batch: pictures in one call. Plans that decide by what they see (`Adaptive`) decide for a whole batch.
        progress: show a bar, if stderr is a terminal.
        **call: more arguments of the pipeline, such as `negative_prompt`, `height`, `image`, `num_frames`.

    Returns:
        The `Sweep`: a record per line, the full run first.

    Raises:
        UnsupportedPipelineError: no denoiser that mmcache knows, or the pipeline returns neither pictures nor
            clips.
        MissingExtraError: torchmetrics or matplotlib is not installed.
        ValueError: a setting that is wrong, a plan that does not fit, another sweep in the folder, a pipe
            that is already accelerated.
        OSError: the folder cannot be written to. All of these are found before anything is sampled.
    """
    require_torchmetrics()
    require_matplotlib()
    find_denoisers(pipe)
    if isinstance(pipe, torch.nn.Module):
        raise UnsupportedPipelineError(
            f"sweep() calls a whole pipeline, and {type(pipe).__name__} is only the denoiser of one"
        )
    if already := session_of(pipe):
        raise ValueError(
            f"this pipe is already accelerated ({already.plan}), so its full run would not be full: "
            f"call mmcache.restore(pipe) first"
        )
    lines = grid(steps, intervals, branches, forecasts, policies, plans, last_output)
    check_counts(steps, seed)
    check_count("seeds", seeds)
    check_count("batch", batch)
    if isinstance(prompts, str):
        raise ValueError(f"prompts={prompts!r}: wanted several, such as [{prompts!r}]")
    texts = None if prompts is None else list(prompts)
    check_prompt(texts)
    if "num_images_per_prompt" in call:
        raise ValueError("num_images_per_prompt=...: give seeds")
    settings = settings_of(pipe, texts, guidance_scale, call)
    settings.pop("prompt", None)
    for line in lines:
        line.check(pipe)

    wanted = wanted_pictures(texts, seeds, seed)
    chosen = (PSNR, SSIM, MS_SSIM, *([VMAF] if draws_clips(pipe) else []), *figures)
    check_output(Path(out), FILES)
    common = common_settings(pipe, wanted, steps, batch, settings, chosen)
    folder = SweepFolder(Path(out), common)

    def run(line: Line, part: Sequence[Wanted] = wanted) -> Drawing:
        with line.applied(pipe) as cost:
            return draw(pipe, part, line.steps, batch, settings, cost)

    with own_progress_bar(pipe):
        pipe.set_progress_bar_config(disable=True)
        measure_missing(lines, folder, run, wanted, chosen, progress)
    records = tuple(found for line in lines if (found := folder.finished(line.label)) is not None)
    return written(Sweep(folder.settings, chosen, records, notes_of(records, chosen, notes)), folder)


def measure_missing(
    lines: Sequence[Line],
    folder: SweepFolder,
    run: Callable[..., Drawing],
    wanted: Sequence[Wanted],
    figures: Sequence[Figure],
    progress: bool,
) -> None:
    """Measure the lines that the folder does not have yet, the full run first."""
    missing = [line for line in lines if folder.finished(line.label) is None]
    if not missing:
        return
    warmup = type(lines[0])(min(WARMUP, lines[0].steps))
    run(warmup, wanted[:1])  # untimed: the first call of a pipeline takes longer
    full = folder.full()
    for line in tqdm(missing, "sweep", disable=None if progress else True):
        drawing = run(line)
        first = full is None
        full = drawing if full is None else full
        record = measured(line, drawing, full, wanted, figures)
        folder.add(record, strip(drawing.pictures), drawing if first else None)


def notes_of(records: Sequence[Any], figures: Sequence[Figure], given: Sequence[str]) -> tuple[str, ...]:
    """Which figures are missing, and why, each once; and what else is to be said."""
    titles = {figure.name: figure.title for figure in figures}
    missing = [f"No {titles[name]}: {why}." for line in records for name, why in line.notes.items()]
    steps = records[0].steps
    few = [f"{steps} steps leave little to reuse."] if steps <= FEW_STEPS else []
    return tuple(dict.fromkeys([*missing, *few, *given]))


def written(result: Sweep, folder: SweepFolder) -> Sweep:
    """Write the tables, plots and contact sheet, all of them or none."""
    contents = {
        CSV: csv_table(result).encode(),
        LATENTS: csv_latents(result).encode(),
        MARKDOWN: markdown(result).encode(),
        PLOT: pareto_png(result),
        PAGE: page(result, folder.strip).encode(),
        SHEET: png(contact_sheet(result, folder.strip)),
    }
    files = write_files(folder.folder, contents)
    return Sweep(result.settings, result.figures, result.lines, result.notes, tuple(files))
