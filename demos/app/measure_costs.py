"""python -m mmcache_demos.app.measure_costs: what each cost of the page's slider holds, as stored/costs.json.

The prompts of every shipped model are generated in a full run and by its presets and calibrated plans,
from the same noise. The page shows these figures; it measures none of them itself.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.console import Console

from mmcache.plans.plan import Plan
from mmcache.plans.plan_set import load_plans
from mmcache.plans.presets import find_plan, presets
from mmcache.tools.media.image_files import read_image, read_mask
from mmcache.tools.running.requests import image_requests
from mmcache.tools.tasks.task_inputs import size_like
from mmcache.tools.tuning.runs import Trials
from mmcache_demos import GUIDANCE_SCALE, WHOLE
from mmcache_demos.app.board import EXAMPLES
from mmcache_demos.app.costs import CALIBRATED, FILE
from mmcache_demos.app.demo_tabs import DRAWING_TABS, DrawingTab
from mmcache_demos.app.model_plans import family_for
from mmcache_demos.app.models import Models, Offer, needed_call
from mmcache_demos.app.settings import MINIATURE, SHIPPED_AS
from mmcache_demos.portraits.against_deepcache import captions_of, fewer_macs
from mmcache_demos.portraits.frontier import FIRST_SEED

COMMAND = "python -m mmcache_demos.app.measure_costs"
PROMPTS: Mapping[str, int] = {"text-to-image": 16, "inpaint": 8, "controlnet": 8, "text-to-video": 4}


class Subject(NamedTuple):
    """A model that is measured, for the tab that offers it."""

    tab: DrawingTab
    model: str


def subjects() -> Iterator[Subject]:
    """Every shipped model of every tab."""
    for tab in DRAWING_TABS:
        yield Subject(tab, MINIATURE)
        for name in tab.task.others:
            yield Subject(tab, SHIPPED_AS + name)


def plans_of(subject: Subject, family: str) -> Iterator[tuple[str, Plan]]:
    """The presets of a family, then the calibrated plans of the model, by their names on the page."""
    for name in presets(family):
        yield name, find_plan(name, family)
    file = CALIBRATED.get((subject.tab.task.name, subject.model))
    if file is not None:
        for cost, plan in load_plans(file).items():
            yield f"{file.stem}#{cost}", plan


def prompts_of(subject: Subject) -> Sequence[str]:
    """Captions that nothing was trained on; where an input image asks for one prompt, that prompt."""
    count = PROMPTS[subject.tab.task.name]
    if subject.tab.task.generates_video:
        return captions_of("text-to-video", count)
    return [subject.tab.task.prompt] * count if subject.tab.task.inputs else captions_of(WHOLE, count)


def inputs_of(subject: Subject, pipe: Any) -> dict[str, Any]:
    """The shipped input image and mask as arguments of the call."""
    files = subject.tab.task.inputs
    if not files:
        return {}
    image = read_image(EXAMPLES / files["image"])
    mask = {"mask_image": read_mask(EXAMPLES / files["mask"], image.size)} if "mask" in files else {}
    return size_like(pipe, image) | {"image": image} | mask


def measured(subject: Subject, models: Models) -> dict[str, Any]:
    """All plans of one model, as the file keeps them."""
    tab, model = subject
    pipe = models.pipe_for(tab.task, model)
    family = family_for(models, tab.task, model)
    frames = {"num_frames": tab.task.settings["frames"]} if tab.task.generates_video else {}
    settings = {
        "num_inference_steps": tab.steps,
        "guidance_scale": GUIDANCE_SCALE,
        **needed_call(tab.task, model),
        **inputs_of(subject, pipe),
        **frames,
    }
    prompts = prompts_of(subject)
    batch = 8 if not (tab.task.inputs or tab.task.generates_video) else 1
    trials = Trials(pipe, image_requests(prompts, 1, FIRST_SEED), settings, batch)
    found = []
    for name, plan in plans_of(subject, family):
        images, report = trials.by_plan_with_report(plan)
        decibels = trials.psnr_of(images)
        found.append(
            {
                "plan": name,
                "less_work": round(fewer_macs(report), 3),
                "psnr": round(float(decibels.mean()), 2),
                "median": round(float(np.median(decibels)), 2),
                "worst": round(float(decibels.min()), 2),
            }
        )
    return {
        "task": tab.task.name,
        "model": model,
        "family": family,
        "steps": tab.steps,
        "guidance": GUIDANCE_SCALE,
        "prompts": len(prompts),
        "plans": found,
    }


def main(out: Annotated[Path, typer.Option(help="The file to write.")] = FILE) -> None:
    """Measure them all, one model after another; the file is written whole at the end."""
    models, found = Models(Offer(), most=1), []
    for subject in subjects():
        found.append(measured(subject, models))
        Console().print_json(data=found[-1])
    out.write_text(json.dumps({"command": COMMAND, "measured": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
