"""python -m mmcache_demos.portraits.motion.evaluate: do the miniature's clips move as the caption says?

Fresh captions, every motion equally often, are drawn as clips; `direction` names the motion that each
shows. The same is done with real held-out clips, which says how far the measure itself can be trusted.
What the caption names of the portrait is judged by the attribute classifier on the frame in the middle,
and from frame to frame whether the portrait stays the same.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from diffusers import AnimateDiffPipeline
from PIL import Image
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from mmcache_demos import GUIDANCE_SCALE, miniature
from mmcache_demos.portraits.classifier import AttributeClassifier, load_classifier
from mmcache_demos.portraits.evaluate import AVERAGED, asked_and_named
from mmcache_demos.portraits.motion.clips import clips
from mmcache_demos.portraits.motion.direction import agreement, shown_motion
from mmcache_demos.portraits.motion.drawn_clips import draw_clip, strip
from mmcache_demos.portraits.motion.models import load_video_pipeline
from mmcache_demos.portraits.motion.motions import FRAMES, MOTIONS

BATCH = len(MOTIONS)


def sample_clips(
    pipeline: AnimateDiffPipeline, texts: list[str], steps: int, guidance: float, seed: int
) -> np.ndarray:
    """Clips of the texts, uint8 (N, 8, 128, 128, 3)."""
    pipeline.set_progress_bar_config(disable=True)
    drawn = []
    for start in tqdm(range(0, len(texts), BATCH), "drawing clips"):
        batch = texts[start : start + BATCH]
        generators = [torch.Generator().manual_seed(seed * 1_000_003 + start + i) for i in range(len(batch))]
        videos = pipeline(
            batch,
            num_frames=FRAMES,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=generators,
            output_type="np",
        ).frames
        drawn.append((np.asarray(videos) * 255).round().astype(np.uint8))
    return np.concatenate(drawn)


def save_gif(clips_of_frames: np.ndarray, path: Path, columns: int = BATCH, enlarge: int = 2) -> None:
    """Writes clips (N, frames, 128, 128, 3) side by side as moving pictures, an eighth of a second each."""
    rows = [
        np.concatenate(list(clips_of_frames[start : start + columns]), axis=2)
        for start in range(0, len(clips_of_frames) - columns + 1, columns)
    ]
    frames = [Image.fromarray(frame) for frame in np.concatenate(rows, axis=1)]
    size = (frames[0].width * enlarge, frames[0].height * enlarge)
    large = [frame.resize(size, Image.Resampling.NEAREST) for frame in frames]
    large[0].save(path, save_all=True, append_images=large[1:], duration=125, loop=0)


def steadiness(classifier: AttributeClassifier, clips_of_frames: np.ndarray) -> float:
    """The share of attributes that the classifier sees in a frame and again in the next one."""
    same = []
    for frames in clips_of_frames:
        named = classifier.name(frames)
        same += [now[field] == then[field] for then, now in pairwise(named) for field in now]
    return float(np.mean(same))


def main(
    model: Annotated[
        Path | None, typer.Option(help="Folder of the parts.", show_default="the shipped miniature")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Captions, and real clips.")] = 210,
    steps: Annotated[int, typer.Option(min=1, help="DDIM steps.")] = 10,
    guidance_scale: float = GUIDANCE_SCALE,
    seed: int = 0,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write a clip of each motion here, as PNG.")] = None,
    gif: Annotated[Path | None, typer.Option(help="The same clips as moving pictures.")] = None,
) -> None:
    """Draw clips of fresh captions and count those that move as asked."""
    classifier = load_classifier()
    wanted, real = clips("evaluation", count), clips("held-out", count)
    texts = [clip.text for clip in wanted]
    pipeline = load_video_pipeline(model or miniature("text-to-video"))
    pixels = sample_clips(pipeline, texts, steps, guidance_scale, seed)
    if sheet:
        strip(list(pixels[:BATCH]), enlarge=2).save(sheet)
    if gif:
        save_gif(pixels[:BATCH], gif)

    seen = [shown_motion(frames) for frames in pixels]
    real_pixels = np.stack([draw_clip(clip) for clip in tqdm(real, "drawing real clips")])
    really_seen = [shown_motion(frames) for frames in real_pixels]
    drawn = agreement([clip.motion for clip in wanted], seen)
    held_out = agreement([clip.motion for clip in real], really_seen)
    captions, portraits = [clip.caption for clip in wanted], [clip.portrait for clip in wanted]
    found = asked_and_named(classifier, captions, portraits, pixels[:, FRAMES // 2])
    attributes = {field: float(np.mean(answers)) for field, answers in found.items() if answers}
    figures = {
        "clips": count,
        "steps": steps,
        "guidance_scale": guidance_scale,
        "seed": seed,
        "motion_as_asked": float(np.mean([a.motion == b for a, b in zip(wanted, seen, strict=True)])),
        "motion_as_asked_each": drawn,
        "real_clips": float(np.mean([a.motion == b for a, b in zip(real, really_seen, strict=True)])),
        "real_clips_each": held_out,
        "steady": steadiness(classifier, pixels),
        "real_clips_steady": steadiness(classifier, real_pixels),
        "attributes_as_asked": attributes,
        "mean_of_four": float(np.mean([attributes.get(field, 0.0) for field in AVERAGED])),
    }

    table = Table("motion", "drawn as asked", "real clips")
    for name in drawn:
        table.add_row(MOTIONS[name].words or "(none: still)", f"{drawn[name]:.1%}", f"{held_out[name]:.1%}")
    table.add_row("all", f"{figures['motion_as_asked']:.1%}", f"{figures['real_clips']:.1%}")
    table.add_row(
        "same from frame to frame", f"{figures['steady']:.1%}", f"{figures['real_clips_steady']:.1%}"
    )
    for field, share in attributes.items():
        table.add_row(field.replace("_", " "), f"{share:.1%}", "")
    table.add_row("mean of " + ", ".join(AVERAGED).replace("_", " "), f"{figures['mean_of_four']:.1%}", "")
    Console().print(table)
    if out:
        out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
