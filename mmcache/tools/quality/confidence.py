"""A mean, and how far it may be from the true one."""

import math
from collections.abc import Iterable
from statistics import fmean, stdev
from typing import NamedTuple

UPPER = 0.975  # the quantile above which 2.5 % lie, as many as below its mirror image


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
    if count == 1:
        return Mean(known[0], None, 1)
    from scipy.stats import t  # half a second to import

    margin = t.ppf(UPPER, count - 1) * stdev(known) / math.sqrt(count)
    return Mean(fmean(known), float(margin), count)
