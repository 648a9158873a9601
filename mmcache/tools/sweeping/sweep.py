"""`sweep(pipe, prompts, out)`: many plans on the same images, in tables and plots that compare them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmcache.engine.few_steps import FEW_STEPS
from mmcache.plans.forecast import Forecast
from mmcache.plans.plan import Plan
from mmcache.plans.plan_file import contents_text
from mmcache.plans.policy import Policy
from mmcache.tools.comparison.compare import generates_video
from mmcache.tools.media.output_folder import check_output, write_files
from mmcache.tools.media.plots import require_matplotlib
from mmcache.tools.media.side_by_side import png
from mmcache.tools.quality.figures import MS_SSIM, PSNR, SSIM, VMAF, Figure
from mmcache.tools.quality.metrics import require_torchmetrics
from mmcache.tools.running.call_settings import (
    check_count,
    check_counts,
    check_prompt,
    prompt_list,
    settings_of,
)
from mmcache.tools.running.only_one import only_one
from mmcache.tools.running.requests import ImageRequest, image_requests
from mmcache.tools.running.run_progress import CallTime, measure_call, run_progress
from mmcache.tools.running.runner import Runner, check_plain_pipeline, running
from mmcache.tools.sweeping.configurations import Configuration
from mmcache.tools.sweeping.files import CSV, FILES, LATENTS, MARKDOWN, PAGE, PLAN, PLOT, SHEET
from mmcache.tools.sweeping.folder import SweepFolder
from mmcache.tools.sweeping.generation import Generation, generate
from mmcache.tools.sweeping.grid import BRANCHES, FORECASTS, INTERVALS, POLICIES, grid
from mmcache.tools.sweeping.page import page
from mmcache.tools.sweeping.plot import pareto_png
from mmcache.tools.sweeping.recommendation import recommended
from mmcache.tools.sweeping.result import MACS, ConfigurationResult, Sweep, measured
from mmcache.tools.sweeping.settings import common_settings
from mmcache.tools.sweeping.sheet import contact_sheet, strip
from mmcache.tools.sweeping.table import csv_latents, csv_table, markdown

WARMUP = 2  # steps
BATCH = 8  # images


def sweep(
    pipe: Any,
    prompts: Sequence[str] | None,
    out: str | Path,
    *,
    seeds: int = 1,
    seed: int = 0,
    steps: int = 50,
    intervals: Sequence[int] = INTERVALS,
    branches: Sequence[int | str] = BRANCHES,
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

    Every finished configuration is in the folder at once. A sweep that was stopped goes on from there when it
    is called again, also with more configurations. The pipe is afterwards what it was, also after an
    exception or Ctrl-C.

    Args:
        pipe: a diffusers pipeline that returns images or videos.
        prompts: a list; None for a pipeline that takes none.
        out: a folder, for the tables (CSV, Markdown), the Pareto plot (PNG, HTML) and the contact sheet.
        seeds: images of each prompt.
        seed: of the first image's noise; the next image has the next one.
        steps: sampling steps of the full and the cached runs.
        intervals, branches, forecasts, policies: every combination is a configuration. `NonUniform` takes the
            center and power that were published for the interval.
        plans: more configurations.
        last_output: add configurations that repeat the denoiser's last output and run no skip branch.
        figures: of quality, beside PSNR, SSIM, MS-SSIM and, for videos, VMAF.
        notes: to print below the tables.
        guidance_scale: None for the pipeline's own default.
        batch: images in one call. Data-dependent plans (`Adaptive`) decide for a whole batch.
        progress: show a bar, if stderr is a terminal.
        **call: more arguments of the pipeline, such as `negative_prompt`, `height`, `image`, `num_frames`.

    Returns:
        The `Sweep`: a result per configuration, the full run first.

    Raises:
        UnsupportedPipelineError: no denoiser that mmcache knows, or the pipeline returns neither images nor
            videos.
        MissingExtraError: torchmetrics or matplotlib is not installed.
        ValueError: a setting that is wrong, a plan that does not fit, another sweep in the folder or at work
            there, a pipe that is already accelerated.
        OSError: the folder cannot be written to. All of these are found before anything is sampled.
    """
    require_torchmetrics()
    require_matplotlib()
    check_plain_pipeline(pipe, "sweep")
    configurations = grid(steps, intervals, branches, forecasts, policies, plans, last_output)
    check_counts(steps, seed)
    check_count("seeds", seeds)
    check_count("batch", batch)
    texts = checked_prompts(prompts)
    settings = checked_settings(pipe, texts, guidance_scale, call)
    for configuration in configurations:
        configuration.check(pipe)

    requests = image_requests(texts, seeds, seed)
    all_figures = (PSNR, SSIM, MS_SSIM, *([VMAF] if generates_video(pipe) else []), *figures)
    check_output(Path(out), FILES)
    common = common_settings(pipe, requests, steps, batch, settings, all_figures)
    with only_one(Path(out), "sweep"), running(pipe, settings) as runner:
        folder = SweepFolder(Path(out), common)
        measure_missing(configurations, folder, Bench(runner, requests, batch, all_figures), progress)
        results = tuple(found for one in configurations if (found := folder.finished(one.label)) is not None)
        return written(
            Sweep(folder.settings, all_figures, results, notes_of(results, all_figures, notes)), folder
        )


def checked_prompts(prompts: Sequence[str] | None) -> list[str] | None:
    """The prompts as a list.

    Raises:
        ValueError: a single string, or an empty prompt.
    """
    texts = None if prompts is None else prompt_list(prompts)
    check_prompt(texts)
    return texts


def checked_settings(
    pipe: Any, prompts: list[str] | None, guidance_scale: float | None, call: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments that all calls of the pipeline have in common, without prompts.

    Raises:
        ValueError: one is wrong, or the pipeline does not have it.
    """
    if "num_images_per_prompt" in call:
        raise ValueError("num_images_per_prompt=...: give seeds")
    settings = settings_of(pipe, prompts, guidance_scale, call)
    settings.pop("prompt", None)
    return settings


@dataclass(frozen=True)
class Bench:
    """What all configurations are run with: the pipeline, the images, the batch size, the figures."""

    runner: Runner
    requests: Sequence[ImageRequest]
    batch: int
    figures: Sequence[Figure]

    def run(self, configuration: Configuration, most: int | None = None) -> Generation:
        """Run one configuration, for the first `most` images or all."""
        with configuration.applied(self.runner.pipe) as cost:
            return generate(self.runner, self.requests[:most], configuration.steps, self.batch, cost)


def measure_missing(
    configurations: Sequence[Configuration], folder: SweepFolder, bench: Bench, progress: bool
) -> None:
    """Measure the configurations that the folder does not have yet, the full run first."""
    missing = [one for one in configurations if folder.finished(one.label) is None]
    if not missing:
        return
    first_kind, steps = type(configurations[0]), configurations[0].steps
    if progress:
        time = measure_call(lambda count: bench.run(first_kind(count), most=1).seconds, steps)
    else:
        bench.run(first_kind(min(WARMUP, steps)), most=1)  # untimed: the first call takes longer
        time = CallTime(0.0, 0.0)
    expected = [time.of(len(bench.requests), one.full_steps_worth) for one in missing]
    there = len(configurations) - len(missing)
    more = f" of {len(bench.requests)} images" + (f" ({there} are there already)" if there else "")
    full = folder.full()
    with run_progress("sweep", len(missing), sum(expected), progress, more=more) as bar:
        for configuration, seconds in zip(missing, expected, strict=True):
            generation = bench.run(configuration)
            first = full is None
            full = generation if full is None else full
            result = measured(configuration, generation, full, bench.requests, bench.figures)
            folder.add(result, strip(generation.images), generation if first else None)
            bar.finish_run(seconds)


def notes_of(
    results: Sequence[ConfigurationResult], figures: Sequence[Figure], others: Sequence[str]
) -> tuple[str, ...]:
    """Which figures are missing, and why, each once; then the other notes."""
    titles = {MACS: "MACs"} | {figure.name: figure.title for figure in figures}
    missing = [f"No {titles[name]}: {why}." for one in results for name, why in one.notes.items()]
    steps = results[0].steps
    few = [f"{steps} steps leave little to reuse."] if steps <= FEW_STEPS else []
    return tuple(dict.fromkeys([*missing, *few, *others]))


def written(sweep: Sweep, folder: SweepFolder) -> Sweep:
    """Write the tables, plots and contact sheet, all of them or none."""
    found = recommended(sweep)
    chosen = sweep.full if found is None else found.result
    contents = {
        CSV: csv_table(sweep).encode(),
        LATENTS: csv_latents(sweep).encode(),
        MARKDOWN: markdown(sweep).encode(),
        PLOT: pareto_png(sweep),
        PAGE: page(sweep, folder.strip).encode(),
        SHEET: png(contact_sheet(sweep, folder.strip)),
    }
    if chosen.plan is not None:
        contents[PLAN] = contents_text(chosen.plan).encode()
    files = write_files(folder.folder, contents)
    if chosen.plan is None:
        (folder.folder / PLAN).unlink(missing_ok=True)  # of an earlier sweep with other configurations
    return Sweep(sweep.settings, sweep.figures, sweep.results, sweep.notes, tuple(files))
