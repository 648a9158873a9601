"""A mean, and how far it may be from the true one."""

import math
from collections.abc import Iterable, Mapping
from statistics import fmean, stdev
from typing import Any, NamedTuple

UPPER = 0.975  # the quantile above which 2.5 % lie, as many as below its mirror image


class Mean(NamedTuple):
    """The mean of a figure over images.

    Attributes:
        value: the mean.
        margin: half the width of its 95 % confidence interval (Student's t); None of a single image.
        images: how many have the figure.
    """

    value: float
    margin: float | None
    images: int

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Mean":
        """The inverse of `_asdict`; older files say `pictures`.

        Raises:
            TypeError: these are not the contents of a mean.
        """
        return cls(**{"images" if name == "pictures" else name: value for name, value in data.items()})


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
