"""What a tuned plan is to reach, checked before torch is imported."""

import math

from mmcache.errors import shown


def check_target(speedup: float | None, psnr: float | None) -> None:
    """Refuse targets that no plan can have.

    Raises:
        ValueError: neither or both are set, or the target is no gain.
    """
    if (speedup is None) == (psnr is None):
        raise ValueError("a plan needs one goal: a speedup (--speedup 2.5) or a psnr (--psnr 40)")
    if speedup is not None and not (is_number(speedup) and 1 < speedup < math.inf):
        raise ValueError(
            f"speedup={shown(speedup)}: wanted more than 1, such as 2.5 for 2.5 times fewer MACs"
        )
    if psnr is not None and not (is_number(psnr) and 0 < psnr < math.inf):
        raise ValueError(f"psnr={shown(psnr)}: wanted more than 0 dB, such as 40")


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
