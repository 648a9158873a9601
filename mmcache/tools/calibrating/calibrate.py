"""`mmcache.calibrate(pipe, prompts)`: plans of several costs from one recording, without a search."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmcache.markup import block, table
from mmcache.plans.branch import NONE
from mmcache.plans.calibrated_for import CalibratedFor, fingerprint
from mmcache.plans.forecast import Taylor
from mmcache.plans.plan import Plan
from mmcache.plans.plan_file import plan_as_dict
from mmcache.plans.plan_set import cost_name, save_plans
from mmcache.plans.policy import StepMask, Uniform
from mmcache.tools.calibrating.planning import best_plan, costs_of
from mmcache.tools.calibrating.run_model import RunModel, run_model
from mmcache.tools.calibrating.sampler_recording import SamplerRecording, recorded
from mmcache.tools.quality.confidence import Mean
from mmcache.tools.running.call_settings import (
    check_count,
    check_counts,
    check_prompt,
    prompt_list,
    settings_of,
)
from mmcache.tools.running.journal import Journal
from mmcache.tools.running.requests import image_requests
from mmcache.tools.running.run_progress import CallTime, measure_call, run_progress
from mmcache.tools.sweeping.settings import common_settings
from mmcache.tools.tuning.runs import Trials
from mmcache.tools.tuning.split import warn_of_few
from mmcache.tools.tuning.tune import mean, only_denoiser

COSTS = (2.0, 2.5, 3.5, 5.0, 7.0, 8.0)
FEWEST = 2  # prompts
FEWEST_STEPS = 8
RECORDING = "recorded runs"  # in the journal
PROBED = (3, 5)  # every so many steps are full in the cached runs that show how full steps answer errors
PROBES = tuple(Plan(Uniform(interval), Taylor(1), NONE) for interval in PROBED)
SHARE_OF_FULL = 1 + sum(1 / interval for interval in PROBED)  # what recording takes, in full runs


@dataclass(frozen=True, repr=False)
class Calibrated:
    """The result of calibration.

    Attributes:
        plans: by their cost, such as "3.5x".
        speedup: how many times fewer denoiser calls run, by cost.
        predicted: how far below 1 the mean square error of the latents is, in dB, by cost.
        measured: PSNR to the full run in dB on prompts that nothing was fitted to, by cost; empty without.
        runs: of the pipeline in full, all together: what cached runs took counts by its share.
    """

    plans: Mapping[str, Plan]
    speedup: Mapping[str, float]
    predicted: Mapping[str, float]
    measured: Mapping[str, Mean]
    runs: float

    def figure(self, cost: str) -> str:
        """How close a plan stays to the full run, measured on other prompts or else predicted."""
        if cost in self.measured:
            return f"{self.measured[cost].value:.1f} dB"
        return f"predicted {self.predicted[cost]:g} dB"

    def _repr_html_(self) -> str:
        rows = [(n, f"{self.speedup[n]:.2f}x", self.figure(n), str(plan)) for n, plan in self.plans.items()]
        return block(table(rows, ("cost", "fewer denoiser calls", "PSNR to the full run", "plan")))

    def __repr__(self) -> str:
        return f"Calibrated({', '.join(f'{name}: {self.figure(name)}' for name in self.plans)})"

    def as_json(self) -> str:
        """The plans and their figures as JSON."""
        found = {
            name: {
                "plan": plan_as_dict(plan),
                "speedup": self.speedup[name],
                "predicted_latent_db": self.predicted[name],
                "psnr_db": self.measured[name]._asdict() if name in self.measured else None,
            }
            for name, plan in self.plans.items()
        }
        return json.dumps({"costs": found, "runs": self.runs}, indent=2)

    def save(self, path: str | Path) -> None:
        """Write one file with all plans, for `accelerate(pipe, "FILE#3.5x")`."""
        save_plans(self.plans, path)


def calibrate(
    pipe: Any,
    prompts: Sequence[str],
    *,
    costs: Sequence[float] = COSTS,
    held_out: Sequence[str] = (),
    steps: int = 50,
    batch: int = 4,
    seed: int = 0,
    guidance_scale: float | None = None,
    progress: bool = False,
    journal: Journal | None = None,
    **call: Any,
) -> Calibrated:
    """Plan all costs from one full run of some prompts and two cached runs of them.

    The plans run nothing on a cached step, so a plan of cost 5 has a fifth of its steps full. Which ones, and
    how outputs are forecast between them, comes from the recording (`calibrating.planning`). The pipe is
    afterwards what it was.

    Args:
        pipe: a diffusers pipeline with one denoiser and one sampler.
        prompts: to calibrate with; 8 that are like those of later use.
        costs: how many times fewer multiply-adds the denoiser is to take.
        held_out: prompts on which the plans are measured, each in full once and once by each plan.
        steps: sampling steps (`num_inference_steps`). The plans are for this number only.
        batch: prompts in one call.
        seed: of the first prompt's noise; each has its own.
        guidance_scale: None for the pipeline's own default. Plans for weak guidance may fail under a strong
            one.
        progress: say how many runs there will be and about how long, and show what is left.
        journal: of runs that are done already, and where those to come are noted.
        **call: more arguments of the pipeline.

    Raises:
        UnsupportedPipelineError: no denoiser that mmcache knows, or several.
        ValueError: too few prompts or steps, a cost that no plan has, a sampler that does not show its steps.
    """
    check_counts(steps, seed)
    check_count("batch", batch)
    prompts, held_out = prompt_list(prompts), prompt_list(held_out, "held_out")
    check_prompt([*prompts, *held_out])
    check_size(prompts, steps)
    counts = costs_of(costs, steps)
    _, denoiser = only_denoiser(pipe)
    settings = settings_of(pipe, prompts[0], guidance_scale, call) | {"num_inference_steps": steps}
    del settings["prompt"]
    warn_of_few(prompts)
    requests = image_requests(prompts, 1, seed)
    tests = image_requests(held_out, 1, seed + len(prompts))
    journal = journal or Journal()
    journal.begin(common_settings(pipe, [*requests, *tests], steps, batch, settings, ()))
    trials = Trials(pipe, requests, settings, batch, name="calibration", journal=journal)
    test = Trials(pipe, tests, settings, batch, name="test", journal=journal)
    seconds = measure_call(trials.seconds, steps) if progress else CallTime(0.0, 0.0)
    total = 1 + len(PROBES) + ((1 + len(counts)) if held_out else 0)
    expected = seconds.of(len(requests), steps * SHARE_OF_FULL)
    expected += seconds.of(len(tests), steps + sum(count for _, count in counts))
    more = f" of {len(requests)} images" + (f" or {len(tests)}" if tests else "")
    with run_progress("calibrate", total, expected, progress, more=more) as bar:
        trials.after_run = test.after_run = bar.finish_run
        model = record(trials)
        found = [best_plan(model, count) for _, count in counts]
        plans_only = [Plan(StepMask(one.full), one.forecast, NONE) for one in found]
        psnr = [mean(test, plan) for plan in plans_only] if held_out else []
    circumstances = CalibratedFor(
        denoiser=type(denoiser).__name__,
        scheduler=type(pipe.scheduler).__name__,
        steps=model.steps,
        config=fingerprint(denoiser),
        made=date.today().isoformat(),
    )
    names = [cost_name(cost) for cost, _ in counts]
    measured = dict(zip(names, psnr, strict=False))
    predicted = {name: round(one.decibels, 1) for name, one in zip(names, found, strict=True)}
    plans = {}
    for name, plan in zip(names, plans_only, strict=True):
        evidence = f"mmcache.calibrate, {len(prompts)} prompts; predicted {predicted[name]:.1f} dB in latents"
        if name in measured:
            evidence += (
                f"; PSNR to the full run {measured[name].value:.1f} dB on {len(held_out)} other prompts"
            )
        plans[name] = replace(plan, evidence=evidence, calibrated_for=circumstances)
    speedup = {cost_name(cost): model.steps / count for cost, count in counts}
    runs = len(prompts) * SHARE_OF_FULL
    measuring = len(held_out) * (1 + sum(1 / ratio for ratio in speedup.values()))
    return Calibrated(plans, speedup, predicted, measured, round(runs + measuring, 1))


def check_size(prompts: Sequence[str], steps: int) -> None:
    """Refuse what is too little to learn from.

    Raises:
        ValueError: with what is wanted.
    """
    if len(prompts) < FEWEST or steps < FEWEST_STEPS:
        raise ValueError(
            f"{len(prompts)} prompts, {steps} steps: calibration wants at least {FEWEST} prompts (better 8) "
            f"and at least {FEWEST_STEPS} steps"
        )


def record(trials: Trials) -> RunModel:
    """Run the prompts in full, and cached; what there is to predict from.

    The journal keeps all together, since they are compared.

    Raises:
        ValueError: the sampler was not given every step's output.
    """
    if trials.journal.has_arrays(RECORDING):
        for _ in (None, *PROBES):
            trials.after_run()
    found = trials.journal.arrays(
        RECORDING, lambda: {name: np.asarray(value) for name, value in vars(_recorded(trials)).items()}
    )
    times = found.pop("times").tolist()
    return RunModel(times, **{name: torch.from_numpy(value) for name, value in found.items()})


def _recorded(trials: Trials) -> RunModel:
    with recorded(trials.pipe.scheduler) as full:
        trials.keep_full(trials.generate())
    cached = [probed(trials, probe, full) for probe in PROBES]
    return run_model(full, cached)


def probed(trials: Trials, probe: Plan, full: SamplerRecording) -> tuple[SamplerRecording, list[int]]:
    """The recording of a cached run, and its full steps behind the first cached one."""
    with recorded(trials.pipe.scheduler) as cached:
        _, report = trials.by_plan_with_report(probe)
    steps = report.denoisers[0].steps
    own = sorted({one.step for one in steps if one.branch is None})
    if len(full.times) != 1 + max(one.step for one in steps) or len(full.outputs) != len(cached.outputs):
        raise ValueError(
            f"{type(trials.pipe).__name__} does not give its sampler the denoiser's output at every step, so "
            f"nothing can be recorded: use mmcache.tune"
        )
    return cached, [step for step in own if step > 0]
