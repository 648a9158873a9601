"""mmcache: faster diffusion pipelines without training.

    import mmcache
    session = mmcache.accelerate(pipe)

Deep features of the denoiser are kept between sampling steps, and only the shallow skip branch runs in
between (DeepCache, arXiv 2312.00858).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmcache.acceleration import accelerate, restore
    from mmcache.adapter import Adapter
    from mmcache.errors import MissingExtraError, PlanFileError, UnsupportedPipelineError
    from mmcache.forecast import Forecast, Hold, Taylor
    from mmcache.measuring.compare import compare
    from mmcache.plan import Plan
    from mmcache.plan_file import load_plan, presets, save_plan
    from mmcache.policy import Adaptive, NonUniform, Policy, StepMask, Uniform
    from mmcache.registry import register
    from mmcache.session import Session

# Where each public name lives. Imported when first used: torch and diffusers take seconds to import, and
# `mmcache --help` should not.
_HOME = {
    "accelerate": "acceleration",
    "restore": "acceleration",
    "Adapter": "adapter",
    "MissingExtraError": "errors",
    "PlanFileError": "errors",
    "UnsupportedPipelineError": "errors",
    "Forecast": "forecast",
    "Hold": "forecast",
    "Taylor": "forecast",
    "compare": "measuring.compare",
    "Plan": "plan",
    "load_plan": "plan_file",
    "presets": "plan_file",
    "save_plan": "plan_file",
    "Adaptive": "policy",
    "NonUniform": "policy",
    "Policy": "policy",
    "StepMask": "policy",
    "Uniform": "policy",
    "register": "registry",
    "Session": "session",
}

__all__ = [
    "Adapter",
    "Adaptive",
    "Forecast",
    "Hold",
    "MissingExtraError",
    "NonUniform",
    "Plan",
    "PlanFileError",
    "Policy",
    "Session",
    "StepMask",
    "Taylor",
    "Uniform",
    "UnsupportedPipelineError",
    "accelerate",
    "compare",
    "load_plan",
    "presets",
    "register",
    "restore",
    "save_plan",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
