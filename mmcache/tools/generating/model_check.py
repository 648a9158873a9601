"""What can be known of a model from its config files alone, before any worker loads its weights."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmcache.errors import UnsupportedPipelineError


def pipeline_class(model: str | Path, revision: str | None = None) -> Any:
    """The class of a pipeline, as its index says; None where that is not a class of diffusers.

    Raises:
        ModelNotFoundError: there is no such folder or id.
    """
    import diffusers

    from mmcache.tools.hub import hub_config, reachable
    from mmcache.tools.model_source import PIPELINE, ModelNotFoundError, is_hub_id, read_config

    index = Path(model).expanduser() / PIPELINE
    if index.is_file():
        config: Any = read_config(index)
    elif is_hub_id(str(model)):
        config = hub_config(str(model), PIPELINE, online=reachable(), revision=revision) or {}
    else:
        raise ModelNotFoundError(f"{model}: there is no such folder, or no {PIPELINE} in it")
    return getattr(diffusers, str(config.get("_class_name")), None)


class PlanCheck:
    """Checks plans against a model's config.

    Args:
        model: a folder or an id of the hub; None where nobody knows before it is loaded.
        revision: of an id of the hub.
    """

    def __init__(self, model: str | Path | None, revision: str | None = None) -> None:
        from mmcache.tools.inspecting.from_config import denoisers_from_config

        self._denoisers = {} if model is None else denoisers_from_config(model, revision)

    def check(self, plan: Any, interval: int | None = None, branch: int | None = None) -> None:
        """Refuse a plan that the model cannot follow.

        Raises:
            PlanFileError: there is no such preset or file.
            UnsupportedPipelineError, ValueError: it does not fit.
        """
        from mmcache.api.checks import check_fits
        from mmcache.api.plan_choice import PlanChanges, choose_plans
        from mmcache.api.resolved_pipeline import BARE, resolve

        changes = PlanChanges(interval=interval, branch=branch)
        refused = None
        for name, denoiser in self._denoisers.items():
            own = plan.get(name) if isinstance(plan, dict) else plan
            try:
                resolved = resolve(denoiser)
                check_fits(choose_plans({BARE: own}, resolved, changes), resolved)
                return
            except UnsupportedPipelineError as error:
                refused = error  # of several denoisers only one has to have a deep part
        if refused is not None:
            raise refused

    def describer(self) -> Callable[[str], Any]:
        """From a plan's name to what it says, checked; each is read once."""
        from mmcache.plans.plan_file import plan_as_dict
        from mmcache.plans.presets import find_plan

        @lru_cache(maxsize=256)
        def describe(name: str) -> Any:
            plan = find_plan(name)
            self.check(name)
            return plan_as_dict(plan)

        return describe


def described_plan(plan: Any) -> Any:
    """A plan for settings.json: what it says, so that a changed file is another plan."""
    from mmcache.plans.plan import Plan
    from mmcache.plans.plan_file import plan_as_dict
    from mmcache.plans.presets import find_plan

    if plan is None:
        return None
    if isinstance(plan, dict):
        return {name: described_plan(one) for name, one in plan.items()}
    return plan_as_dict(plan if isinstance(plan, Plan) else find_plan(plan)) | (
        {} if isinstance(plan, Plan) else {"name": str(plan)}
    )
