"""What the tables of DeepCache (arXiv 2312.00858) print, to hold counts against: none of it is ours."""

from dataclasses import dataclass

from mmcache_demos.paper.published_models import (
    DDPM_CIFAR_10,
    DDPM_LSUN,
    LDM_4_G,
    STABLE_DIFFUSION,
    PublishedModel,
)


@dataclass(frozen=True)
class PrintedRun:
    """One row of a table of the paper.

    Attributes:
        model: what samples.
        steps: sampling steps of a run.
        interval: N, a full step every so many; 1 is no caching.
        branch: of cached steps, from 0; the paper counts from 1 and says 3 for DDPM, 1 for LDM-4-G, 2 for SD.
        printed: multiply-adds of a step, the mean over a run, in 10^9, with the digits of the paper.
    """

    model: PublishedModel
    steps: int
    interval: int
    branch: int
    printed: str


def rows(model: PublishedModel, steps: int, branch: int, printed: dict[int, str]) -> list[PrintedRun]:
    return [PrintedRun(model, steps, interval, branch, digits) for interval, digits in printed.items()]


PRINTED_RUNS = (
    *rows(STABLE_DIFFUSION, 50, 1, {1: "338.83", 5: "130.45"}),
    *rows(
        LDM_4_G,
        250,
        0,
        {1: "99.82", 2: "52.12", 3: "36.48", 5: "23.50", 10: "13.97", 20: "9.39"},
    ),
    *rows(DDPM_CIFAR_10, 100, 2, {1: "6.1", 2: "4.15", 3: "3.54", 5: "3.01", 10: "2.63"}),
    *rows(DDPM_LSUN, 100, 2, {1: "248.7", 2: "190.8", 3: "172.3", 5: "156.0"}),
)
