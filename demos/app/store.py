"""python -m mmcache_demos.app.store: the comparisons, thumbnails and share image that come with the page.

Seconds are not stored: they would be those of one machine. The two films run at the pace of multiply-adds.
"""

import io
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image, ImageDraw, ImageFont

from mmcache.tools.comparison.comparison import CACHED, FULL, Comparison
from mmcache.tools.media.side_by_side import as_images
from mmcache.tools.running.requests import noise
from mmcache_demos import GUIDANCE_SCALE
from mmcache_demos.app.clips import BOTH
from mmcache_demos.app.costs import slider_for
from mmcache_demos.app.demo_tabs import DRAWING_TABS, DrawingTab
from mmcache_demos.app.figures import psnr_of
from mmcache_demos.app.film import Film, film_strip
from mmcache_demos.app.measure_costs import Subject, inputs_of
from mmcache_demos.app.model_plans import family_for
from mmcache_demos.app.models import Models, Offer
from mmcache_demos.app.orders import Order, Ran
from mmcache_demos.app.result import files_of
from mmcache_demos.app.runs import run_both
from mmcache_demos.app.settings import MINIATURE, OWN_SAMPLER
from mmcache_demos.app.stored import FOLDER, INDEX, SHARED, Stored, times
from mmcache_demos.app.watching import Frame

COMMAND = "python -m mmcache_demos.app.store"
FRAMES = 25  # of a film
THUMBNAIL = 96  # pixels along a side
SHARE = (1200, 630)  # pixels, as pages that show links want it
PAPER, INK, QUIET = "#faf9f7", "#1d1c19", "#625e56"


def order_for(tab: DrawingTab, models: Models, pipe: Any) -> tuple[Order, str]:
    """What the tab begins with, at the recommended cost, and the name of that cost."""
    settings = tab.settings(MINIATURE)
    family = family_for(models, tab.task, MINIATURE)
    cost = slider_for(settings, tab.task.name, family).recommended
    frames = {"num_frames": settings.frames} if settings.frames else {}
    order = Order(
        prompt=settings.prompt,
        guidance=settings.guidance,
        plan=cost.make(family),
        steps=settings.steps,
        seed=settings.seed,
        sampler=OWN_SAMPLER,
        call=inputs_of(Subject(tab, MINIATURE), pipe) | frames,
        previews=FRAMES,
    )
    return order, cost.name


def paced(frames: Sequence[Frame], work: Sequence[float], total: float, last: Image.Image) -> Film:
    """A film at the pace of the work that each step takes.

    Args:
        frames: the images on the way.
        work: of each step.
        total: of the longer run.
        last: the result.
    """
    shown = [frame for frame in frames if frame.step < len(work)]
    at = [sum(work[: frame.step]) / total for frame in shown] + [sum(work) / total]
    images = [frame.image.resize(last.size, Image.Resampling.BICUBIC) for frame in shown] + [last]
    return Film(images, [*(frame.step for frame in shown), len(work)], at)


def paced_films(ran: Ran, lasts: dict[str, Image.Image]) -> dict[str, Film]:
    """The films of both runs; only the denoiser's work counts."""
    steps = [step for step in ran.found.report.denoisers[0].steps if step.lane == 0]
    cached = [float(step.macs or 0) for step in steps]
    full = [float(step.full_macs or 0) for step in steps]
    work = {"full": full, "cached": cached}
    return {side: paced(ran.frames[side], work[side], sum(full), lasts[side]) for side in work}


def results_of(found: Comparison) -> dict[str, Image.Image]:
    """The result of both runs as one image; of a video the frame in the middle."""
    middle = len(found.full.stills) // 2
    runs = {"full": found.full, "cached": found.cached}
    return {side: as_images(run.stills[middle : middle + 1])[0] for side, run in runs.items()}


def store_comparison(tab: DrawingTab, models: Models, out: Path) -> Stored:
    """Run what the tab begins with, and write its files."""
    pipe = models.pipe_for(tab.task, MINIATURE)
    order, cost = order_for(tab, models, pipe)
    ran = run_both(pipe, order, None, threading.Event(), lambda news: None)
    found, name = ran.found, tab.task.name
    made, lasts = files_of(ran), results_of(found)
    shown = (BOTH,) if tab.task.generates_video else (FULL, CACHED)
    files = {Path(file).stem: f"{name}-{file}" for file in shown}
    for file in shown:
        (out / f"{name}-{file}").write_bytes(made[file])
    films = paced_films(ran, lasts)
    for side, film in films.items():
        files[f"film-{side}"] = f"{name}-film-{side}.webp"
        (out / files[f"film-{side}"]).write_bytes(film_strip(film))
    report = found.report.denoisers[0]
    assert report.full_macs is not None
    assert report.macs is not None
    return Stored(
        task=name,
        prompt=order.prompt,
        seed=order.seed,
        cost=cost,
        less_work=round(report.full_macs / report.macs, 3),
        psnr=round(psnr_of(found), 2),
        ssim=round(found.likeness.ssim or 0.0, 5),
        steps=order.steps,
        full_steps=found.full_steps,
        macs={"full": report.full_macs, "cached": report.macs},
        branches=[
            step.branch if isinstance(step.branch, int) else None for step in report.steps if step.lane == 0
        ],
        width=lasts["full"].width,
        height=lasts["full"].height,
        files=files,
        films={side: {"steps": list(film.steps), "at": list(film.at)} for side, film in films.items()},
    )


def store_thumbnails(tab: DrawingTab, models: Models, out: Path) -> list[str]:
    """The images of the examples, each from a full run."""
    pipe = models.pipe_for(tab.task, MINIATURE)
    pipe.set_progress_bar_config(disable=True)
    inputs = inputs_of(Subject(tab, MINIATURE), pipe)
    frames = {"num_frames": tab.task.settings["frames"]} if tab.task.generates_video else {}
    files = []
    for place, example in enumerate(tab.examples):
        result = pipe(
            example.prompt,
            num_inference_steps=tab.steps,
            guidance_scale=GUIDANCE_SCALE,
            generator=noise(example.seed),
            **inputs,
            **frames,
        )
        image = result.frames[0][-1] if tab.task.generates_video else result.images[0]
        files.append(f"{tab.task.name}-example-{place}.webp")
        small = image.convert("RGB").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        small.save(out / files[-1], "WEBP", quality=90)
    return files


def share_image(one: Stored, folder: Path) -> bytes:
    """What other pages show for a link to this one: both halves of the image, and the point in words."""
    sheet = Image.new("RGB", SHARE, PAPER)
    side = SHARE[1] - 120
    halves = [Image.open(folder / one.files[name]).convert("RGB") for name in ("full", "cached")]
    for place, image in enumerate(halves):
        large = image.resize((side, side), Image.Resampling.NEAREST)
        half = large.crop((place * side // 2, 0, (place + 1) * side // 2, side))
        sheet.paste(half, (60 + place * (side // 2 + 4), 60))
    draw, left = ImageDraw.Draw(sheet), 60 + side + 64
    for words, size, top, colour in (
        ("Same picture.", 64, 170, INK),
        (f"{times(one.less_work)}", 64, 250, INK),
        ("less work.", 64, 330, INK),
        (f"mmcache: {one.psnr:.0f} dB, no training", 28, 440, QUIET),
    ):
        draw.text((left, top), words, colour, ImageFont.load_default(size))
    found = io.BytesIO()
    sheet.quantize(128, dither=Image.Dither.NONE).save(found, "PNG", optimize=True)
    return found.getvalue()


def main(
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = FOLDER,
    tab: Annotated[list[str] | None, typer.Option(help="Which tabs; all if none is given.")] = None,
) -> None:
    """Store them all; of the tabs that are not named what was stored before is kept."""
    file = out / INDEX
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    comparisons, thumbs = dict(kept.get("comparisons", {})), dict(kept.get("thumbnails", {}))
    models = Models(Offer(), most=1)
    for one in DRAWING_TABS:
        name = one.task.name
        if tab and name not in tab:
            continue
        comparisons[name] = vars(store_comparison(one, models, out))
        thumbs[name] = store_thumbnails(one, models, out)
        found = {"command": COMMAND, "comparisons": comparisons, "thumbnails": thumbs}
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(name, comparisons[name]["less_work"], comparisons[name]["psnr"])
    first = Stored(**comparisons[DRAWING_TABS[0].task.name])
    (out / SHARED).write_bytes(share_image(first, out))


if __name__ == "__main__":
    typer.run(main)
