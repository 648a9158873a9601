"""A mean, and how far it may be from the true one."""

import math
from collections.abc import Iterable
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

Z = NormalDist().inv_cdf(0.975)


class Mean(NamedTuple):
    """The mean of a figure over pictures.

    Attributes:
        value: the mean.
        margin: half the width of its 95 % confidence interval (Student's t); None of a single picture.
        pictures: how many have the figure.
    """

    value: float
    margin: float | None
    pictures: int


def mean_of(values: Iterable[float | None]) -> Mean | None:
    """Of the values that there are; None if there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    count = len(known)
    margin = t_quantile(count - 1) * stdev(known) / math.sqrt(count) if count > 1 else None
    return Mean(fmean(known), margin, count)


def t_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t: exact for 1 and 2 degrees of freedom, to 0.2 % for more.

    The expansion is that of Abramowitz and Stegun, 26.7.5.
    """
    if freedom == 1:
        return math.tan(0.475 * math.pi)
    if freedom == 2:
        return 0.95 * math.sqrt(2 / (1 - 0.95**2))
    terms = (
        (Z**3 + Z) / 4,
        (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96,
        (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384,
        (79 * Z**9 + 776 * Z**7 + 1482 * Z**5 - 1920 * Z**3 - 945 * Z) / 92160,
    )
    return Z + sum(term / freedom**power for power, term in enumerate(terms, start=1))
