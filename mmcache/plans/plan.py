"""A plan: when (policy), what instead (forecast), and how much of the denoiser stays (branch)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from mmcache.plans.forecast import Forecast, Hold
from mmcache.plans.policy import Policy, whole_number


@dataclass(frozen=True)
class Plan:
    """Everything that decides how a pipeline is cached.

    Attributes:
        policy: which steps are full.
        forecast: the feature of a cached step.
        branch: which skip connections stay on a cached step, counted from the outermost: 0 is the
            cheapest. Or one branch per step, for a run of exactly so many steps; entries of full steps
            are not used. A cached step at a deeper branch refreshes the features of shallower ones.
        evidence: the measurement that this plan rests on.
    """

    policy: Policy
    forecast: Forecast = field(default_factory=Hold)
    branch: int | Sequence[int] = 0
    evidence: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.policy, Policy):
            raise TypeError(f"Plan(policy={self.policy!r}): wanted a policy such as mmcache.Uniform(3)")
        if not isinstance(self.forecast, Forecast):
            raise TypeError(f"Plan(forecast={self.forecast!r}): wanted mmcache.Hold() or mmcache.Taylor(1)")
        if isinstance(self.branch, Sequence) and not isinstance(self.branch, str):
            object.__setattr__(self, "branch", tuple(self.branch))
            if not self.branch:
                raise ValueError("Plan(branch=[]): wanted a branch, or one for each step")
        for branch in self.branches:
            whole_number(self, "branch", branch, 0, "0 is the outermost skip connection")

    @property
    def branches(self) -> tuple[int, ...]:
        """Every branch that the plan may use, each once."""
        if isinstance(self.branch, tuple):
            return tuple(sorted(set(self.branch)))
        return (self.branch,)  # type: ignore[return-value]

    def branch_at(self, step: int) -> int:
        """The branch of a cached step."""
        return self.branch[step] if isinstance(self.branch, tuple) else self.branch  # type: ignore[return-value]

    def check_total(self, total: int | None) -> None:
        """Refuse a run whose number of steps does not fit a plan with a branch per step.

        Raises:
            ValueError: with both numbers.
        """
        if isinstance(self.branch, tuple) and total is not None and total != len(self.branch):
            raise ValueError(
                f"this plan names a branch for each of {len(self.branch)} steps, but this run has {total}; "
                f"sample with {len(self.branch)} steps, or give the plan one branch for all steps"
            )

    def __str__(self) -> str:
        return f"{concise(self.policy)}, {concise(self.forecast)}, {branch_words(self.branch)}"


def concise(setting: Policy | Forecast) -> str:
    """`Uniform(interval=3)`: as one would write it, without warm-up and cool-down where they are usual."""
    shown = [
        f"{f.name}={getattr(setting, f.name)!r}"
        for f in sorted(fields(setting), key=lambda f: bool(f.kw_only))
        if not f.kw_only or getattr(setting, f.name) != f.default
    ]
    return f"{type(setting).__name__}({', '.join(shown)})"


def branch_words(branch: int | Sequence[int]) -> str:
    return f"branch {branch}" if isinstance(branch, int) else f"a branch per step ({len(branch)})"
