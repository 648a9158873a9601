"""`mmcache.tune(pipe, prompts, speedup=2.5)`: the plan that is closest to the full run at a given cost."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from torch import nn

from mmcache.api.resolved_pipeline import find_denoisers
from mmcache.errors import UnsupportedPipelineError
from mmcache.markup import block, table
from mmcache.plans.calibrated_for import CalibratedFor, fingerprint
from mmcache.plans.forecast import Hold, Taylor
from mmcache.plans.plan import Plan, concise
from mmcache.plans.plan_file import plan_as_dict, save_plan
from mmcache.plans.policy import StepMask
from mmcache.plans.preview import plan_html
from mmcache.tools.quality.confidence import Mean, mean_of
from mmcache.tools.running.call_settings import (
    check_count,
    check_counts,
    check_prompt,
    prompt_list,
    settings_of,
)
from mmcache.tools.running.journal import Journal
from mmcache.tools.running.run_progress import measure_call, run_progress
from mmcache.tools.sweeping.settings import common_settings
from mmcache.tools.tuning.candidates import Candidate
from mmcache.tools.tuning.choosing import best_at_cost, cheapest_at
from mmcache.tools.tuning.recording import PROBES, record
from mmcache.tools.tuning.runs import Trials
from mmcache.tools.tuning.schedule import full_steps
from mmcache.tools.tuning.search import evenly_spaced
from mmcache.tools.tuning.split import Split, split, warn_of_few
from mmcache.tools.tuning.target import check_target

RUNS = 40
BASELINES = (Hold(), Taylor(1), Taylor(2))  # of evenly spaced plans


@dataclass(frozen=True, repr=False)
class Tuned:
    """The result of tuning.

    Attributes:
        plan: with the model it was calibrated for and the measurement behind it.
        speedup: how many times fewer multiply-adds the denoiser takes.
        validation: PSNR to the full run in dB on the validation prompts, which the plan was chosen by. It is
            too high: the plan fits these prompts best.
        test: the same on the test prompts, which it was not chosen by.
        baselines: on the test prompts, PSNR of evenly spaced plans with as many full steps.
        runs: of the pipeline, all together.
        rejected: where no plan was better than an evenly spaced one, `plan` is that one, and this is what the
            best other plan has on the test prompts; None otherwise.
    """

    plan: Plan
    speedup: float
    validation: Mean
    test: Mean
    baselines: dict[str, Mean]
    runs: int
    rejected: Mean | None = None

    def _repr_html_(self) -> str:
        rows = [("this plan", self.test), *self.baselines.items()]
        figures = [(name, f"{mean.value:.1f} dB", f"{self.speedup:.2f}x") for name, mean in rows]
        heads = ("plan", "PSNR on test prompts", "fewer denoiser MACs")
        return block(plan_html(self.plan), table(figures, heads))

    def __repr__(self) -> str:
        return (
            f"Tuned({self.plan!r}: {self.speedup:.2f}x fewer denoiser MACs, "
            f"PSNR {self.test.value:.1f} dB on test prompts)"
        )

    def as_json(self) -> str:
        """The plan and its figures as JSON."""
        result = {
            "plan": plan_as_dict(self.plan),
            "speedup_in_macs": self.speedup,
            "psnr_db": {
                "validation": self.validation._asdict(),
                "test": self.test._asdict(),
                "rejected": None if self.rejected is None else self.rejected._asdict(),
                "baselines": {name: mean._asdict() for name, mean in self.baselines.items()},
            },
            "runs": self.runs,
        }
        return json.dumps(result, indent=2)

    def save(self, path: str | Path) -> None:
        """Write the plan file, for `accelerate(pipe, path)`."""
        save_plan(self.plan, path)


def tune(
    pipe: Any,
    prompts: Sequence[str],
    *,
    speedup: float | None = None,
    psnr: float | None = None,
    held_out: Sequence[str] | None = None,
    steps: int = 50,
    branches: Sequence[int] = (0,),
    runs: int = RUNS,
    batch: int = 4,
    seed: int = 0,
    guidance_scale: float | None = None,
    progress: bool = False,
    journal: Journal | None = None,
    **call: Any,
) -> Tuned:
    """Find the plan that is closest to the full run at a cost, or the cheapest one that is close enough.

    The prompts are split in three. A full run of the calibration prompts is recorded, and the error of every
    plan is predicted from it (`tuning.error_model`). The best predicted plans are run and improved on the
    validation prompts. The final plan is measured on the test prompts. The pipe is afterwards what it was.

    Args:
        pipe: a diffusers pipeline with one denoiser that generates images or videos from prompts.
        prompts: to choose by; 8 to 12 that are like those of later use.
        speedup: how many times fewer multiply-adds the denoiser is to take, such as 2.5.
        psnr: instead, how close to the full run: mean dB over the prompts.
        held_out: test prompts; by default every third of `prompts`.
        steps: sampling steps (`num_inference_steps`). The plan is for this number only.
        branches: skip branches to try.
        runs: number of plans to run; more find better ones.
        batch: prompts in one call.
        seed: of the first prompt's noise; each has its own.
        guidance_scale: None for the pipeline's own default.
        progress: say how many runs there will be and about how long, and show what is left.
        journal: of runs that are done already, and where those to come are noted.
        **call: more arguments of the pipeline.

    Raises:
        UnsupportedPipelineError: no denoiser that mmcache knows.
        ValueError: neither or both of speedup and psnr, too few prompts, several denoisers, a speed-up that
            no plan has, or a PSNR that none reaches; a journal of other settings.
    """
    check_target(speedup, psnr)
    check_counts(steps, seed)
    check_count("runs", runs)
    if not branches:
        raise ValueError("branches=[]: wanted at least one branch, such as 0")
    for branch in branches:
        check_count("branch", branch, least=0)
    check_count("batch", batch)
    prompts = prompt_list(prompts)
    held_out = None if held_out is None else prompt_list(held_out, "held_out")
    check_prompt([*prompts, *(held_out or [])])
    name, model = only_denoiser(pipe)
    settings = settings_of(pipe, prompts[0], guidance_scale, call) | {"num_inference_steps": steps}
    del settings["prompt"]
    parts = split(prompts, held_out, seed)
    warn_of_few([*prompts, *(held_out or [])])
    journal = journal or Journal()
    journal.begin(common_settings(pipe, [one for part in parts for one in part], steps, batch, settings, ()))
    calibration, validation, test = (
        Trials(pipe, part, settings, batch, name=part_name, journal=journal)
        for part_name, part in zip(Split._fields, parts, strict=True)
    )
    full_runs, cached_runs = counts_of_runs(steps, branches, runs, psnr is not None)
    images = max(map(len, parts))
    seconds = measure_call(calibration.seconds, steps).of(images, steps) if progress else 0.0
    expected = (full_runs + cached_runs / (speedup or 2.0)) * seconds
    total = full_runs + cached_runs
    with run_progress("tune", total, expected, progress, more=f" at most, of {images} images") as bar:
        calibration.after_run = validation.after_run = test.after_run = bar.finish_run
        errors, costs = record(calibration, name, branches, steps)
        if speedup is not None:
            best = best_at_cost(errors, costs, validation, branches, speedup, runs)
        else:
            best = cheapest_at(errors, costs, validation, branches, float(psnr or 0), runs)
        plan, rejected = best.plan(errors), None
        even = {concise(other.forecast): other for other in evenly_spaced_plans(best)}
        baselines = {forecast: mean(test, other) for forecast, other in even.items()}
        test_psnr = mean(test, plan)
        best_even = max(baselines, key=lambda forecast: baselines[forecast].value)
        if baselines[best_even].value > test_psnr.value:
            rejected, plan, test_psnr = test_psnr, even[best_even], baselines[best_even]
        validation_psnr = mean(validation, plan)
    ratio = costs.speedup(best.schedule)
    evidence = (
        f"mmcache.tune, {len(parts.calibration)} calibration and {len(parts.validation)} validation prompts; "
        f"on {len(parts.test)} test prompts: {ratio:.2f}x fewer denoiser MACs, PSNR to the full run "
        f"{test_psnr.value:.1f} dB"
    )
    if rejected is not None:
        evidence += f"; evenly spaced, since the best plan of the search has {rejected.value:.1f} dB there"
    calibrated_for = CalibratedFor(
        denoiser=type(model).__name__,
        scheduler=type(pipe.scheduler).__name__,
        steps=errors.steps,  # PNDM and Heun run more than they are asked for
        config=fingerprint(model),
        made=date.today().isoformat(),
    )
    plan = replace(plan, evidence=evidence, calibrated_for=calibrated_for)
    count = sum(trials.count for trials in (calibration, validation, test))
    return Tuned(plan, ratio, validation_psnr, test_psnr, baselines, count, rejected)


def counts_of_runs(steps: int, branches: Sequence[int], runs: int, bisecting: bool) -> tuple[int, int]:
    """At most so many runs in full, or nearly, and so many cached ones."""
    probes = max(0, min(PROBES, steps - 2)) * len(branches)
    bisections = (2 * math.ceil(math.log2(max(2, steps))) + 2) if bisecting else 0
    return 3 + probes, runs + bisections + len(BASELINES) + 2


def evenly_spaced_plans(best: Candidate) -> list[Plan]:
    """The baselines: evenly spaced plans with as many full steps."""
    even = StepMask(evenly_spaced(len(best.schedule), len(full_steps(best.schedule))))
    return [Plan(even, forecast, best.branch) for forecast in BASELINES]


def mean(trials: Trials, plan: Plan) -> Mean:
    """PSNR to the full run in dB, over the prompts."""
    found = mean_of(trials.psnr(plan).tolist())
    assert found is not None  # there is a prompt
    return found


def only_denoiser(pipe: Any) -> tuple[str, nn.Module]:
    """The name and model of the pipeline's denoiser.

    Raises:
        UnsupportedPipelineError: none that mmcache knows, or several: a cost would be ambiguous.
    """
    found = find_denoisers(pipe)
    if len(found) > 1:
        raise UnsupportedPipelineError(
            f"tune() works on one denoiser, and {type(pipe).__name__} has {', '.join(found)}: tune its "
            f"parts as pipelines of their own"
        )
    name, part = next(iter(found.items()))
    return name, part.model
