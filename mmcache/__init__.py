"""mmcache: faster diffusion pipelines without training.

    import mmcache
    session = mmcache.accelerate(pipe)

Deep features of the denoiser are kept between sampling steps, and only the shallow skip branch runs in
between (DeepCache, arXiv 2312.00858).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from mmcache.api.accelerate import accelerate, restore
    from mmcache.api.session import Session
    from mmcache.architectures.adapter import Adapter
    from mmcache.architectures.inference import general_adapter
    from mmcache.architectures.registry import register
    from mmcache.architectures.undescribed import FunctionDenoiser
    from mmcache.caller import MmcacheWarning
    from mmcache.errors import (
        MissingExtraError,
        PipelineInUseError,
        PlanFileError,
        UnsupportedPipelineError,
    )
    from mmcache.patching.cloned_pipeline import clone_pipeline
    from mmcache.plans.forecast import Fitted, Forecast, Hold, Taylor
    from mmcache.plans.plan import Plan
    from mmcache.plans.plan_file import load_plan, save_plan
    from mmcache.plans.plan_set import load_plans, save_plans
    from mmcache.plans.policy import Adaptive, NonUniform, Policy, StepMask, Uniform
    from mmcache.plans.presets import presets
    from mmcache.tools.calibrating.calibrate import calibrate
    from mmcache.tools.comparison.compare import compare
    from mmcache.tools.generating.generate import generate
    from mmcache.tools.sweeping.sweep import sweep
    from mmcache.tools.tuning.tune import tune

# Where each public name lives. Imported when first used: torch and diffusers take seconds to import, and
# `mmcache --help` should not.
_HOME = {
    "accelerate": "api.accelerate",
    "restore": "api.accelerate",
    "Adapter": "architectures.adapter",
    "FunctionDenoiser": "architectures.undescribed",
    "general_adapter": "architectures.inference",
    "MissingExtraError": "errors",
    "MmcacheWarning": "caller",
    "PipelineInUseError": "errors",
    "PlanFileError": "errors",
    "UnsupportedPipelineError": "errors",
    "Fitted": "plans.forecast",
    "Forecast": "plans.forecast",
    "Hold": "plans.forecast",
    "Taylor": "plans.forecast",
    "clone_pipeline": "patching.cloned_pipeline",
    "calibrate": "tools.calibrating.calibrate",
    "compare": "tools.comparison.compare",
    "generate": "tools.generating.generate",
    "sweep": "tools.sweeping.sweep",
    "Plan": "plans.plan",
    "load_plan": "plans.plan_file",
    "presets": "plans.presets",
    "load_plans": "plans.plan_set",
    "save_plan": "plans.plan_file",
    "save_plans": "plans.plan_set",
    "Adaptive": "plans.policy",
    "NonUniform": "plans.policy",
    "Policy": "plans.policy",
    "StepMask": "plans.policy",
    "Uniform": "plans.policy",
    "register": "architectures.registry",
    "Session": "api.session",
    "tune": "tools.tuning.tune",
}

__all__ = [
    "Adapter",
    "Adaptive",
    "Fitted",
    "Forecast",
    "FunctionDenoiser",
    "Hold",
    "MissingExtraError",
    "MmcacheWarning",
    "NonUniform",
    "PipelineInUseError",
    "Plan",
    "PlanFileError",
    "Policy",
    "Session",
    "StepMask",
    "Taylor",
    "Uniform",
    "UnsupportedPipelineError",
    "__version__",
    "accelerate",
    "calibrate",
    "clone_pipeline",
    "compare",
    "general_adapter",
    "generate",
    "load_plan",
    "load_plans",
    "presets",
    "register",
    "restore",
    "save_plan",
    "save_plans",
    "sweep",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mmcache")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
