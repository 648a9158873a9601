"""Figures of reports: ratios, sums of what may be unknown, and how people read them."""


def speedup(macs: int | None, full_macs: int | None) -> float | None:
    """How many times fewer multiply-adds: full over cached; None where either is unknown or there is none."""
    return full_macs / macs if macs and full_macs else None


def sum_or_none(values: list[int | None]) -> int | None:
    return None if None in values else sum(value for value in values if value is not None)


def format_macs(macs: int) -> str:
    """338.83G, 1.24T, 5.1M: three or four digits that mean something."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if macs >= size:
            return f"{macs / size:.2f}{unit}"
    return str(macs)


def format_bytes(count: int) -> str:
    """Bytes as people read them: 5.0 MiB, 64.0 KiB."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
