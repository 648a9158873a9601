"""A comparison as a person reads it in a terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.text import Text

from mmcache.api.figures import format_bytes, format_macs
from mmcache.api.report import DenoiserReport
from mmcache.tools.comparison.comparison import Comparison
from mmcache.tools.tables import Column, FigureTable

NOT_COUNTED = "not counted"
COLUMNS = (Column("", words=True), Column("full"), Column("cached"), Column("gain", style="green"))


def comparison_table(result: Comparison, files: Sequence[Path] = ()) -> Group:
    """The figures as a table, with what they mean below it."""
    table = FigureTable(COLUMNS)
    full, cached = result.full, result.cached
    table.add_row("seconds, whole call", *seconds(full.seconds, cached.seconds))
    if len(full.seconds_each) > 1:
        table.add_row("  lowest to highest", spread(full.seconds_each), spread(cached.seconds_each), "")
    parts = result.report.parts
    table.add_row(
        "seconds, " + (" and ".join(part.name for part in parts) if len(parts) > 1 else "denoiser"),
        *seconds(full.denoiser_seconds, cached.denoiser_seconds),
    )
    if len(parts) > 1:
        table.add_row("MACs, together", *macs(result.full_macs, result.macs))
    for part in parts:
        rows_of(table, part, f", {part.name}" if len(parts) > 1 else "")
    if full.peak_memory and cached.peak_memory:
        table.add_row(
            "memory in use, at most", format_bytes(full.peak_memory), format_bytes(cached.peak_memory), ""
        )
    table.add_section()
    for name, taken in result.components.items():
        if name not in {part.name for part in parts}:
            table.add_row(f"MACs, {name}", *macs(taken["full"], taken["cached"])[:2], "")
    table.add_row("MACs, all components", *macs(**result.total_macs))
    table.add_section()
    for name, value in result.likeness_rows():
        table.add_row(name, "", value, "")

    title = Text(f"{result.pipeline}: {result.plan}", style="bold")
    lines = [
        f"{image_words(result)}. PSNR and SSIM: data range 0 to 1. Seconds: {result.timing}, "
        f"{result.environment['dtype']} on {result.environment['device']}.",
        *(f"note: {note}" for note in notes_of(result)),
    ]
    below = [Text(line, style="dim") for line in lines]
    return Group(title, table, *below, *file_lines(files))


def rows_of(table: FigureTable, part: DenoiserReport, several: str) -> None:
    """What one denoiser did."""
    steps = part.full_steps + part.cached_steps
    table.add_row(f"MACs{several}", *macs(part.full_macs, part.macs))
    table.add_row(f"full steps{several}", str(steps), str(part.full_steps), "")
    table.add_row(f"cached steps{several}", "0", str(part.cached_steps), "")
    table.add_row(f"cache held, at most{several}", "0 B", format_bytes(part.bytes_held), "")


def macs(full: int | None, cached: int | None) -> tuple[str, str, str]:
    if not full or not cached:
        return NOT_COUNTED, NOT_COUNTED, ""
    return format_macs(full), format_macs(cached), f"{full / cached:.2f}x fewer"


def seconds(full: float, cached: float) -> tuple[str, str, str]:
    return f"{full:.2f}", f"{cached:.2f}", f"{full / cached:.2f}x faster"


def spread(each: Sequence[float]) -> str:
    return f"{min(each):.2f} to {max(each):.2f}"


def notes_of(result: Comparison) -> list[str]:
    """What the session has to say, and a doubt about the clock where there is reason for one."""
    notes = [*result.report.notes, *result.remarks()]
    if result.clock_is_doubtful:
        notes.append(
            "the speed-up is larger than the saved MACs explain, so something else was using the processor "
            "during the full run: try --repeats 3, or --threads 1"
        )
    return notes


def image_words(result: Comparison) -> str:
    """1 image 64 wide and 64 high, seed 0, guidance scale 7.5."""
    words = f"{result.words()}, seed {result.settings['seed']}"
    scale = result.settings.get("guidance_scale")
    return words if scale is None else f"{words}, guidance scale {scale:g}"


def file_lines(files: Sequence[Path]) -> list[Text]:
    """One line for each file, which a terminal does not break."""
    return [Text(str(path), style="cyan", no_wrap=True, overflow="ignore") for path in files]
