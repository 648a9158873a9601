"""`mmcache.tune(pipe, prompts, speedup=2.5)`: the plan that is closest to the full run at a price."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from torch import nn
from tqdm import tqdm

from mmcache.api.resolved_pipeline import find_denoisers
from mmcache.errors import UnsupportedPipelineError
from mmcache.plans.calibrated_for import CalibratedFor, fingerprint
from mmcache.plans.forecast import Hold, Taylor
from mmcache.plans.plan import Plan, concise
from mmcache.plans.plan_file import plan_as_dict, save_plan
from mmcache.plans.policy import StepMask
from mmcache.tools.comparison.batches import Wanted, wanted_pictures
from mmcache.tools.comparison.sampling_settings import check_counts, check_prompt, settings_of
from mmcache.tools.quality.confidence import Mean, mean_of
from mmcache.tools.tuning.candidates import Candidate
from mmcache.tools.tuning.choosing import best_at_price, cheapest_at
from mmcache.tools.tuning.recording import record
from mmcache.tools.tuning.runs import Trials
from mmcache.tools.tuning.schedule import full_steps
from mmcache.tools.tuning.search import evenly_spaced

RUNS = 40
FEWEST = 3  # prompts


@dataclass(frozen=True)
class Tuned:
    """What was found.

    Attributes:
        plan: with what it was made for and the measurement behind it.
        speedup: how many times fewer multiply-adds the denoiser takes.
        tuned_on: PSNR to the full run in dB on the prompts that it was chosen by; too good to be true.
        held_out: the same on prompts that it was not chosen by.
        rivals: on those, of evenly spaced plans with as many full steps.
        runs: of the pipeline, all together.
    """

    plan: Plan
    speedup: float
    tuned_on: Mean
    held_out: Mean
    rivals: dict[str, Mean]
    runs: int

    def as_json(self) -> str:
        found = {
            "plan": plan_as_dict(self.plan),
            "speedup_in_macs": self.speedup,
            "psnr_db": {
                "tuned_on": self.tuned_on._asdict(),
                "held_out": self.held_out._asdict(),
                "rivals": {name: mean._asdict() for name, mean in self.rivals.items()},
            },
            "runs": self.runs,
        }
        return json.dumps(found, indent=2)

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
    **call: Any,
) -> Tuned:
    """Find the plan that is closest to the full run at a price, or the cheapest one that is close enough.

    A full run of every other prompt is recorded, the error of every plan is predicted from it
    (`tuning.error_model`), the best predicted ones are run and improved on the other prompts, and what is
    left is checked on prompts that were held out. The pipe is afterwards what it was.

    Args:
        pipe: a diffusers pipeline with one denoiser that draws pictures or clips from prompts.
        prompts: to choose by; 8 to 12 that are like those it will be used for.
        speedup: how many times fewer multiply-adds the denoiser is to take: 2.5.
        psnr: instead, how close to the full run: mean dB over the prompts.
        held_out: prompts for the figures of the plan; by default every third of `prompts` is kept for that.
        steps: sampling steps (`num_inference_steps`). The plan is for this number only.
        branches: skip branches to try.
        runs: so many plans are run; more find better ones.
        batch: so many prompts at once.
        seed: of the first prompt's noise; each has its own.
        guidance_scale: None for the pipeline's own default.
        progress: show a bar, if stderr is a terminal.
        **call: more arguments of the pipeline.

    Raises:
        UnsupportedPipelineError: no denoiser that mmcache knows.
        ValueError: neither or both of speedup and psnr, too few prompts, several denoisers, a price that no
            plan has, or a closeness that none reaches.
    """
    check_target(speedup, psnr)
    check_counts(steps, seed)
    check_prompt([*prompts, *(held_out or [])])
    name, model = only_denoiser(pipe)
    settings = settings_of(pipe, prompts[0], guidance_scale, call) | {"num_inference_steps": steps}
    del settings["prompt"]
    chosen_by, kept = split(prompts, held_out)
    studied, judged = studied_and_judged(wanted_pictures(chosen_by, 1, seed))
    studies, trials = Trials(pipe, studied, settings, batch), Trials(pipe, judged, settings, batch)
    checks = Trials(pipe, wanted_pictures(kept, 1, seed + len(chosen_by)), settings, batch)
    with tqdm(desc="tuning", unit=" runs", disable=None if progress else True) as bar:
        studies.after_run = trials.after_run = checks.after_run = bar.update
        errors, prices = record(studies, name, branches, steps)
        if speedup is not None:
            best = best_at_price(errors, prices, trials, branches, speedup, runs)
        else:
            best = cheapest_at(errors, prices, trials, branches, float(psnr or 0), runs)
        plan = best.plan(errors)
        on_kept = {concise(other.forecast): mean(checks, other) for other in rivals(best)}
        tuned_on, held = mean(trials, plan), mean(checks, plan)
    speed = prices.speedup(best.schedule)
    evidence = (
        f"mmcache.tune, {len(studied)} prompts studied, judged by {len(judged)}; on {len(kept)} others: "
        f"{speed:.2f}x fewer denoiser MACs, PSNR to the full run {held.value:.1f} dB"
    )
    calibrated_for = CalibratedFor(
        denoiser=type(model).__name__,
        scheduler=type(pipe.scheduler).__name__,
        steps=errors.steps,  # PNDM and Heun run more than they are asked for
        config=fingerprint(model),
        made=date.today().isoformat(),
    )
    plan = replace(plan, evidence=evidence, calibrated_for=calibrated_for)
    return Tuned(plan, speed, tuned_on, held, on_kept, studies.count + trials.count + checks.count)


def check_target(speedup: float | None, psnr: float | None) -> None:
    """Refuse what no plan can aim at.

    Raises:
        ValueError: neither or both are given, or no gain is asked for.
    """
    if (speedup is None) == (psnr is None):
        raise ValueError(
            "give either a speedup, such as 2.5, or a psnr, such as 40: what the plan has to keep"
        )
    if speedup is not None and not 1 < speedup < math.inf:
        raise ValueError(f"speedup={speedup!r}: wanted more than 1, such as 2.5 for 2.5 times fewer MACs")
    if psnr is not None and not 0 < psnr < math.inf:
        raise ValueError(f"psnr={psnr!r}: wanted more than 0 dB, such as 40")


def rivals(best: Candidate) -> list[Plan]:
    """Evenly spaced plans with as many full steps."""
    even = StepMask(evenly_spaced(len(best.schedule), len(full_steps(best.schedule))))
    return [Plan(even, forecast, best.branch) for forecast in (Hold(), Taylor(1), Taylor(2))]


def mean(trials: Trials, plan: Plan) -> Mean:
    """PSNR to the full run in dB, over the prompts."""
    found = mean_of(trials.decibels(plan).tolist())
    assert found is not None  # there is a prompt
    return found


def split(prompts: Sequence[str], held_out: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """The prompts to choose by, and those to check on."""
    if held_out is not None:
        return list(prompts), list(held_out)
    if len(prompts) < FEWEST:
        raise ValueError(
            f"{len(prompts)} prompts: a plan is chosen by some and checked on others, so at least {FEWEST} "
            f"are needed, or held_out=[...] beside them"
        )
    return [p for i, p in enumerate(prompts) if i % 3 != 2], list(prompts[2::3])


def studied_and_judged(wanted: Sequence[Wanted]) -> tuple[Sequence[Wanted], Sequence[Wanted]]:
    """Of the pictures to choose by, those whose features are recorded, and those by which plans are judged.

    Judged by the pictures that they were fitted to, fitted weights win, and then lose on others: of four
    captions at 20 steps, they were 40.3 dB from the full run on these and 34.1 dB on others, where
    extrapolation had 39.1 dB. Of an odd number the most judge.
    """
    return (wanted[1::2], wanted[::2]) if len(wanted) > 1 else (wanted, wanted)


def only_denoiser(pipe: Any) -> tuple[str, nn.Module]:
    """The name and model of the pipeline's denoiser.

    Raises:
        UnsupportedPipelineError: none that mmcache knows, or several: which of them a price is for is open.
    """
    found = find_denoisers(pipe)
    if len(found) > 1:
        raise UnsupportedPipelineError(
            f"tune() works on one denoiser, and {type(pipe).__name__} has {', '.join(found)}: tune the "
            f"pipelines that it is made of one by one"
        )
    name, part = next(iter(found.items()))
    return name, part.model
