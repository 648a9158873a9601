"""A plan: when (policy), what instead (forecast), and how much of the denoiser stays (branch)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Annotated

from mmcache.errors import shown
from mmcache.plans.branch import NONE, NOTHING, branch_number, branch_words
from mmcache.plans.calibrated_for import CalibratedFor
from mmcache.plans.forecast import DefaultForecast, Fitted, Forecast, Hold, Taylor
from mmcache.plans.policy import Policy, StepMask
from mmcache.plans.values import MOST_WORDS, Each, Text, Whole, check_fields

MOST_BRANCH = 10_000  # no denoiser has a hundred


@dataclass(frozen=True, repr=False)
class Plan:
    """Everything that decides how a pipeline is cached.

    Attributes:
        policy: which steps are full.
        forecast: the feature of a cached step; without it, that of the model's default plan.
        branch: which skip connections stay on a cached step, counted from the outermost: 0 is the
            cheapest that runs layers; "none" runs none, and forecasts the denoiser's output. Or one branch
            per step, for a run of exactly so many steps; entries of full steps are not used. A cached step
            at a deeper branch refreshes the features of shallower ones; outputs are those of full steps.
        evidence: the measurement that this plan rests on.
        calibrated_for: what a calibrated plan was made for; None for a plan that goes with anything.
    """

    policy: Policy
    forecast: Forecast = field(default_factory=DefaultForecast)
    branch: Annotated[
        int | str | Sequence[int | str],
        Each(
            Whole(0, MOST_BRANCH, '0 is the outermost skip connection, "none" runs no layer', or_word=NONE),
            least=1,
            or_one=True,
        ),
    ] = 0
    evidence: Annotated[str, Text(MOST_WORDS)] = ""
    calibrated_for: CalibratedFor | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.policy, Policy):
            raise TypeError(f"Plan(policy={shown(self.policy)}): wanted a policy such as mmcache.Uniform(3)")
        if not isinstance(self.forecast, Forecast):
            raise TypeError(
                f"Plan(forecast={shown(self.forecast)}): wanted mmcache.Hold() or mmcache.Taylor(1)"
            )
        if isinstance(self.branch, Sequence) and not isinstance(self.branch, str):
            object.__setattr__(self, "branch", tuple(self.branch))
            if not self.branch:
                raise ValueError("Plan(branch=[]): wanted a branch, or one for each step")
        check_fields(self)

    @property
    def branches(self) -> tuple[int, ...]:
        """The number of every branch that the plan may use, each once; `NOTHING` for "none"."""
        entries = self.branch if isinstance(self.branch, tuple) else (self.branch,)
        return tuple(sorted(set(map(branch_number, entries))))

    @property
    def cut_branches(self) -> tuple[int, ...]:
        """Those for which the model has to be cut."""
        return tuple(branch for branch in self.branches if branch != NOTHING)

    @property
    def keeps_outputs(self) -> bool:
        """Whether some cached steps keep nothing of the model."""
        return NOTHING in self.branches

    def branch_at(self, step: int) -> int:
        """The number of a cached step's branch; beyond the end, where a run may go on, that of the last."""
        if not isinstance(self.branch, tuple):
            return branch_number(self.branch)
        return branch_number(self.branch[min(step, len(self.branch) - 1)])

    @property
    def steps(self) -> int | None:
        """The number of steps that the plan is for; None if it goes with any."""
        if self.calibrated_for is not None:
            return self.calibrated_for.steps
        return len(self.branch) if isinstance(self.branch, tuple) else None

    @property
    def needs_total(self) -> bool:
        """Whether it can be followed only where the number of steps is known."""
        return self.policy.needs_total or isinstance(self.branch, tuple)

    def check_total(self, total: int | None) -> None:
        """Refuse a run whose number of steps does not fit the plan.

        Raises:
            ValueError: with both numbers.
        """
        named = len(self.branch) if isinstance(self.branch, tuple) else self.steps
        if named != self.steps:
            raise ValueError(
                f"this plan names a branch for each of {named} steps, but was calibrated for {self.steps}: "
                f"name as many branches as steps"
            )
        if self.steps is not None and total not in (None, self.steps):
            raise ValueError(
                f"this plan says what to do in each of {self.steps} steps, but this run has {total}: sample "
                f"with {self.steps} steps, or stretch the plan with plan.for_steps({total})"
            )

    def without_effect(self, total: int) -> list[str]:
        """What of the plan says nothing about a run of so many steps, in sentences.

        A run may be shorter than it was asked for: image to image begins in the middle.
        """
        policy, said = self.policy, []
        if isinstance(policy, StepMask) and (beyond := [step for step in policy.full if step >= total]):
            said.append(f"full steps {shown(beyond)} lie beyond this run of {total} steps, counted from 0")
        for name in ("warmup", "cooldown"):
            if getattr(policy, name) >= total > 1:
                said.append(f"{name}={getattr(policy, name)} makes every step of this run of {total} full")
        interval = getattr(policy, "interval", 1)
        if interval > total > 1:
            said.append(f"interval={interval}: of this run of {total} steps only the first is full")
        return said

    def for_steps(self, total: int) -> "Plan":
        """The plan stretched or shrunk to another number of steps, for which nothing was measured.

        Full steps and branches keep their places in the run; weights that were fitted to the old steps give
        way to extrapolation. A plan that goes with any number of steps stays as it is.

        Raises:
            ValueError: fewer steps than 1.
        """
        Whole(1).check("Plan.for_steps", "total", total)
        if self.steps in (None, total):
            return self
        stretch = total / self.steps
        policy, forecast, branch = self.policy, self.forecast, self.branch
        if isinstance(policy, StepMask):
            full = {min(int(step * stretch + 0.5), total - 1) for step in policy.full}
            policy = replace(policy, full=sorted({0, *full}))
        if isinstance(forecast, Fitted):
            forecast = extrapolation_for(forecast, self.keeps_outputs)
        if isinstance(branch, tuple):
            branch = [branch[min(int(step / stretch), len(branch) - 1)] for step in range(total)]
        source = f"stretched from {self.steps} to {total} steps, and not measured there"
        return Plan(policy, forecast, branch, f"{self.evidence}; {source}" if self.evidence else source)

    def _repr_html_(self) -> str:
        from mmcache.plans.preview import (
            plan_html,  # it shows the steps of a plan, so it knows what a plan is
        )

        return plan_html(self)

    def __repr__(self) -> str:
        return f"Plan({concise(self.policy)}, {concise(self.forecast)}, branch={shown(self.branch)})"

    def __str__(self) -> str:
        return f"{concise(self.policy)}, {concise(self.forecast)}, {branch_words(self.branch)}"


def concise(setting: Policy | Forecast) -> str:
    """`Uniform(interval=3)`: as one would write it, without warm-up and cool-down where they are usual."""
    if isinstance(setting, DefaultForecast):
        return "the model's default forecast"
    if isinstance(setting, Fitted):
        return f"Fitted(weights of {setting.memory} features)"
    shown = [
        f"{f.name}={getattr(setting, f.name)!r}"
        for f in sorted(fields(setting), key=lambda f: bool(f.kw_only))
        if not f.kw_only or getattr(setting, f.name) != f.default
    ]
    return f"{type(setting).__name__}({', '.join(shown)})"


def extrapolation_for(fitted: Fitted, outputs: bool) -> Forecast:
    """What takes the place of fitted weights where they do not fit; of outputs it repays what was missed."""
    if fitted.memory == 1:
        return Hold()
    return Taylor(1, repaid=0.5) if outputs else Taylor(fitted.memory - 1)


def check_is_plan(plan: object) -> None:
    """Refuse what is no plan.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(plan, Plan):
        raise TypeError(f"plan={shown(plan)}: wanted a mmcache.Plan, such as Plan(Uniform(3))")
