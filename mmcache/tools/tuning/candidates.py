"""Plans that are worth a run: schedules with little predicted error, under each forecast."""

from dataclasses import dataclass

from mmcache.plans.forecast import Fitted, Forecast, Hold, Taylor
from mmcache.plans.plan import Plan
from mmcache.plans.policy import StepMask
from mmcache.tools.tuning.error_model import ErrorModel, Reuse
from mmcache.tools.tuning.schedule import Schedule, full_steps


@dataclass(frozen=True)
class Method:
    """A way to forecast features: extrapolation, or weights fitted to the recording.

    Attributes:
        memory: number of past features; 1 holds.
        fitted: use fitted weights, different at each step.
    """

    memory: int
    fitted: bool = False

    def reuse(self, model: ErrorModel, schedule: Schedule) -> dict[int, Reuse]:
        if self.fitted:
            return model.fitted(schedule, self.memory)
        return model.extrapolated(schedule, self.memory - 1)

    def forecast(self, model: ErrorModel, schedule: Schedule) -> Forecast:
        if not self.fitted:
            return Hold() if self.memory == 1 else Taylor(self.memory - 1)
        reuse = self.reuse(model, schedule)
        rows = [reuse[step].weights if step in reuse else () for step in range(len(schedule))]
        return Fitted([[round(float(weight), 5) for weight in row] for row in rows])


METHODS = (
    Method(2),
    Method(3),
    Method(2, fitted=True),
    Method(3, fitted=True),
)


@dataclass(frozen=True)
class Candidate:
    """A schedule, a method and a branch, and with them a plan."""

    schedule: Schedule
    method: Method
    branch: int

    def error(self, model: ErrorModel) -> float:
        """Predicted."""
        return model.error(self.method.reuse(model, self.schedule))

    def plan(self, model: ErrorModel) -> Plan:
        return Plan(
            StepMask(full_steps(self.schedule)), self.method.forecast(model, self.schedule), self.branch
        )
