"""`mmcache generate`: draw with a cached pipeline, and keep what was drawn."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmcache.cli import options
from mmcache.cli.request import Asked
from mmcache.cli.shared_options import takes
from mmcache.cli.terminal import plain_errors, quiet_libraries, show

if TYPE_CHECKING:
    import numpy as np

    from mmcache.api.report import Report


@takes(Asked, "asked")
def generate(
    asked: Asked,
    prompt: options.Prompt = None,
    plan: options.Plan = None,
    interval: options.Interval = None,
    branch: options.Branch = None,
    steps: options.Steps = 50,
    seed: options.FirstSeed = 0,
    count: Annotated[int, typer.Option(min=1, help="Pictures, or clips.")] = 1,
    cache: Annotated[bool, typer.Option(help="Cache; --no-cache draws with every step in full.")] = True,
    report: Annotated[bool, typer.Option(help="Show what was done in every step.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for what is drawn.")] = Path("mmcache-out"),
    as_json: options.Json = False,
) -> None:
    """Draw pictures or clips with caching, one file each.

    Files are named after their seeds: seed-0.png, or seed-0.mp4 for clips.
    """
    with plain_errors(), quiet_libraries():
        import json
        import time

        from mmcache.api.accelerate import accelerate
        from mmcache.plans.presets import find_plan
        from mmcache.tools.comparison.batches import arguments_for, wanted_pictures
        from mmcache.tools.comparison.compare import pictures_of
        from mmcache.tools.comparison.sampling_settings import check_counts, check_prompt, settings_of
        from mmcache.tools.comparison.video_comparison import fps_of
        from mmcache.tools.media.ffmpeg import require_ffmpeg
        from mmcache.tools.media.output_folder import check_output, write_files

        # Whatever can be wrong without the model is found before it is loaded.
        task = asked.chosen
        if task.draws_clips:
            require_ffmpeg()
        suffix = ".mp4" if task.draws_clips else ".png"
        check_output(out, tuple(f"seed-{seed + number}{suffix}" for number in range(count)))
        check_prompt(prompt)
        check_counts(steps, seed)
        if plan is not None:
            find_plan(plan)
        if not cache and (plan, interval, branch) != (None, None, None):
            raise ValueError("--no-cache draws every step in full: leave out --plan, --interval and --branch")
        inputs = asked.read_inputs()

        pipe, call = asked.load(inputs)
        text = asked.wording(prompt, pipe)
        settings = settings_of(pipe, text, None, call)
        given = {"interval": interval, "branch": branch} if cache else {"interval": 1}
        chosen = {name: value for name, value in given.items() if value is not None}
        files = []
        with accelerate(pipe, plan, **chosen) as session:
            started = time.perf_counter()
            for one in wanted_pictures(None if text is None else [text], count, seed):
                pipe.set_progress_bar_config(desc=f"seed {one.seed}", disable=None)
                own = settings | arguments_for(pipe, [one], settings) | {"num_inference_steps": steps}
                drawn = pictures_of(pipe, pipe(**own, output_type="np"))
                # At once: whatever happens to the next one, this one is there.
                files += write_files(out, {f"seed-{one.seed}{suffix}": file_of(drawn, fps_of(settings))})
            seconds = time.perf_counter() - started
            done = session.report()
        if as_json:
            said = {"files": [str(file) for file in files], "seconds": seconds, "run": done.as_dict()}
            typer.echo(json.dumps(said, indent=2))
        else:
            show("\n".join([str(done) if report else summary(done, seconds, count), *map(str, files)]))


def file_of(pictures: "np.ndarray", fps: float) -> bytes:
    """A picture (1, H, W, C) as PNG, a clip (1, F, H, W, C) as mp4; in [0, 1]."""
    from mmcache.tools.comparison.comparison import png
    from mmcache.tools.media.side_by_side import as_images, eight_bits
    from mmcache.tools.media.video_files import video_bytes

    drawn = pictures[0]
    return video_bytes(eight_bits(drawn), fps) if drawn.ndim > 3 else png(as_images(pictures)[0])


def summary(done: "Report", seconds: float, count: int) -> str:
    """What was saved, in one line a part; the multiply-adds are those of one run."""
    from mmcache.api.report import format_macs

    lines = [f"{seconds:.2f} s for {count}"]
    for part in done.parts:
        ran = f"{part.full_steps} full, {part.cached_steps} cached steps"
        if part.macs and part.full_macs:
            times = part.full_macs / part.macs
            ran += f", {format_macs(part.macs)} of {format_macs(part.full_macs)} MACs ({times:.2f}x fewer)"
        lines.append(f"{part.name}: {ran}; {part.plan}")
    return "\n".join([*lines, *(f"note: {note}" for note in done.notes)])
