"""What instead: the feature of a cached step, from those of the full steps before it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

from mmcache.errors import shown
from mmcache.plans.values import Each, Flag, Real, Share, Whole, check_fields

if TYPE_CHECKING:  # plans are read and listed without torch, which takes seconds to import
    import torch
    from torch import Tensor

MOST_ORDER = 8  # of a polynomial; each order keeps one more feature, and beyond 3 nothing was ever gained

Feature: TypeAlias = "tuple[torch.Tensor, ...]"
"""What a cut keeps of a full step: the hidden state that enters the skip branch, first; then, where an
architecture carries more than one stream across the cut, the others."""

Total: TypeAlias = "Callable[[torch.Tensor], torch.Tensor] | None"  # sums over processes that have parts


class Observation(NamedTuple):
    """A feature and the sampler's time at which it was computed.

    Attributes:
        time: the sampler's.
        feature: what was computed then.
        missed: times of the forecasts between the observation before and this one, whose errors it shows;
            empty once a forecast has made up for them.
        believed: for each stream, in which samples extrapolation came true, bool (B, 1, ...); () where that
            was not checked.
    """

    time: float
    feature: Feature
    missed: tuple[float, ...] = ()
    believed: "tuple[torch.Tensor, ...]" = ()


@dataclass(frozen=True)
class Forecast:
    """How a feature is carried to another time.

    A forecast returns tensors of its own, never those it was given: layers such as FreeU write to them.
    """

    @property
    def memory(self) -> int:
        """How many past features are kept per lane and branch."""
        raise NotImplementedError

    def at(self, time: float, past: Sequence[Observation], step: int | None = None) -> Feature:
        """The feature at `time`, from at most `memory` observations, newest last, at distinct times.

        Args:
            step: which step of the run it is for, where a forecast differs from step to step.
        """
        raise NotImplementedError

    def check(self, past: Sequence[Observation], sample: "Tensor | None", total: Total = None) -> Feature:
        """What the newest observation says of this forecast, kept as its `believed`; asked once a full step.

        Args:
            past: the observations, the newest last.
            sample: the denoiser's input of the newest, (B, ...); its equal rows are of one image.
            total: given where other processes have the rest of the features.
        """
        return ()


@dataclass(frozen=True)
class Hold(Forecast):
    """Reuse the last feature as it is (DeepCache, arXiv 2312.00858)."""

    @property
    def memory(self) -> int:
        return 1

    def at(self, time: float, past: Sequence[Observation], step: int | None = None) -> Feature:
        return tuple(tensor.clone() for tensor in past[-1].feature)


@dataclass(frozen=True)
class Taylor(Forecast):
    """Extrapolate over the sampler's time: the polynomial of degree `order` through the last full steps.

    Over time, not over the step index: samplers space their steps unevenly and a policy spaces its full
    steps unevenly, and the polynomial is the same curve either way. The idea of extrapolating features is
    TaylorSeer's (arXiv 2503.06923, for transformers); inside a U-Net, see the model card for its gain.
    With fewer observations the degree is lower; with one, it is `Hold`.

    A full step shows by how much the forecasts since the full step before it were off. With `repaid`, the
    sum of these errors is added to the first forecast behind it, as error diffusion does in half-toning:
    what one step has missed, a later one makes up for. Full steps stay as they are. For a polynomial this is
    a weighted sum of past features, whose weights come from the times alone.

    Attributes:
        order: degree of the polynomial.
        repaid: the share of the errors that is made up for, 0 to 1.
        checked: hold the last feature instead where the change that extrapolation foretold for the last full
            step did not come true, not even in part. So it is under samplers that add noise: it decides by
            what the run itself shows. Before there is something to check, it extrapolates. Each image is
            judged by itself, with and without its prompt together: guidance takes the difference of the two,
            which is of no one time if only one of them is held.
    """

    order: Annotated[int, Whole(1, MOST_ORDER, "Hold() is order 0")] = 1
    repaid: Annotated[float, Share()] = field(default=0.0, kw_only=True)
    checked: Annotated[bool, Flag()] = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def memory(self) -> int:
        return self.order + (2 if self.repaid or self.checked else 1)

    def at(self, time: float, past: Sequence[Observation], step: int | None = None) -> Feature:
        feature, last = self._extrapolated(time, past), past[-1]
        if not last.believed:
            return feature
        import torch

        return tuple(
            torch.where(believed, tensor, held)
            for believed, tensor, held in zip(last.believed, feature, last.feature, strict=True)
        )

    def check(self, past: Sequence[Observation], sample: "Tensor | None", total: Total = None) -> Feature:
        """Whether the foretold change and the one seen have a positive inner product, in float32."""
        if not self.checked or len(past) < self.order + 2:
            return ()
        from mmcache.clocks.latents import rows_of_one_image

        last, before = past[-1], past[:-1]
        together = None if sample is None else rows_of_one_image(sample)
        foretold = self._extrapolated(last.time, [one._replace(missed=()) for one in before])
        found = []
        for now, told, then in zip(last.feature, foretold, before[-1].feature, strict=True):
            expected, seen = (told.float() - then.float()), (now.float() - then.float())
            inner = (expected * seen).flatten(1).sum(dim=1)
            inner = inner if total is None else total(inner)
            if together is not None and len(inner) % len(together) == 0:  # rows of a video are its frames
                inner = together.to(inner) @ inner.view(len(together), -1)
            found.append(inner.view(-1, *(1,) * (now.ndim - 1)) > 0)
        return tuple(found)

    def _extrapolated(self, time: float, past: Sequence[Observation]) -> Feature:
        nodes = [observation.time for observation in past]
        recent = nodes[-self.order - 1 :]
        weights = lagrange_weights(time, recent)
        missed = past[-1].missed
        if not (self.repaid and missed and len(nodes) > 1 and time != nodes[-1]):
            return weighted(weights, past[-len(weights) :])
        owed = missed_weights(nodes, missed, self.order)
        weights = [0.0] * (len(nodes) - len(weights)) + weights
        return weighted([w + self.repaid * o for w, o in zip(weights, owed, strict=True)], past)


@dataclass(frozen=True)
class DefaultForecast(Taylor):
    """The forecast of a plan that names none: `accelerate` replaces it by that of the model's default plan.

    Where nobody does, it is `Taylor(1, checked=True)`, that of most models.
    """

    order: Annotated[int, Whole(1, 1)] = field(default=1, init=False)
    repaid: Annotated[float, Share()] = field(default=0.0, init=False)
    checked: Annotated[bool, Flag()] = field(default=True, init=False)


@dataclass(frozen=True)
class Fitted(Forecast):
    """Calibrated weights: at each step, how much each of the last features counts (found by `mmcache.tune`).

    They fit one sampler with one number of steps. Where fewer features are there than the step has weights
    for (a step that was to be cached was full, say), it extrapolates as `Taylor` does.

    Attributes:
        weights: for each step of the run, of the features reused, oldest first; empty for full steps.
    """

    weights: Annotated[
        Sequence[Sequence[float]],
        Each(Each(Real(-1e6, 1e6), most=MOST_ORDER + 1), least=1, also={"contains": {"minItems": 1}}),
    ]

    def __post_init__(self) -> None:
        rows = self.weights
        if not isinstance(rows, Sequence) or not all(isinstance(row, Sequence) for row in rows):
            raise ValueError(
                f"Fitted({shown(rows)}): wanted a list of weights for each step, such as [[], [1.0]]"
            )
        check_fields(self)
        if not any(rows):
            raise ValueError("Fitted(...): has no weights for any step, so nothing could be cached")
        object.__setattr__(self, "weights", tuple(tuple(float(weight) for weight in row) for row in rows))

    @property
    def memory(self) -> int:
        return max(len(row) for row in self.weights)

    def at(self, time: float, past: Sequence[Observation], step: int | None = None) -> Feature:
        weights = self.weights[step] if step is not None and step < len(self.weights) else ()
        if not weights or len(weights) > len(past):
            weights = lagrange_weights(time, [observation.time for observation in past])
        return weighted(weights, past[-len(weights) :])


def weighted(weights: Sequence[float], past: Sequence[Observation]) -> Feature:
    """The weighted sum of features, stream by stream."""
    return tuple(
        weighted_sum(weights, tensors)
        for tensors in zip(*(observation.feature for observation in past), strict=True)
    )


def lagrange_weights(time: float, nodes: Sequence[float]) -> list[float]:
    """How much each node's value counts in the interpolating polynomial at `time`; they sum to 1."""
    weights = []
    for i, node in enumerate(nodes):
        weight = 1.0
        for j, other in enumerate(nodes):
            if i != j:
                weight *= (time - other) / (node - other)
        weights.append(weight)
    return weights


def missed_weights(nodes: Sequence[float], missed: Sequence[float], order: int) -> list[float]:
    """How much each node's value counts in what forecasts have missed; the weights sum to 0.

    Args:
        nodes: times of the observations, the newest last: it shows what the forecasts before it missed.
        missed: the times of these forecasts.
        order: degree of the polynomial that was extrapolated.

    Returns:
        The sum, over the forecasts, of the polynomial through the newest node as well minus the one without.
    """
    before = list(nodes[:-1][-order - 1 :])
    owed = [0.0] * (len(before) + 1)
    for time in missed:
        known, used = lagrange_weights(time, [*before, nodes[-1]]), lagrange_weights(time, before)
        owed = [o + k - u for o, k, u in zip(owed, known, [*used, 0.0], strict=True)]
    return [0.0] * (len(nodes) - len(owed)) + owed


def weighted_sum(weights: Sequence[float], tensors: "Sequence[torch.Tensor]") -> "torch.Tensor":
    """In float32 for half precision, where a difference of near-equal features would lose its digits."""
    import torch

    kind = tensors[0].dtype
    wide = torch.float32 if kind in (torch.float16, torch.bfloat16) else kind
    total = tensors[0].to(wide) * weights[0]
    for weight, tensor in zip(weights[1:], tensors[1:], strict=True):
        total.add_(tensor.to(wide), alpha=weight)
    return total.to(kind)
