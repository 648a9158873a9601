"""mmcache: faster diffusion pipelines without training.

    import mmcache
    session = mmcache.accelerate(pipe)

Deep features of the denoiser are kept between sampling steps, and only the shallow skip branch runs in
between (DeepCache, arXiv 2312.00858).
"""

from mmcache.acceleration import accelerate, restore
from mmcache.errors import PlanFileError, UnsupportedPipelineError
from mmcache.forecast import Forecast, Hold, Taylor
from mmcache.plan import Plan
from mmcache.plan_file import load_plan, presets, save_plan
from mmcache.policy import Adaptive, NonUniform, Policy, StepMask, Uniform
from mmcache.session import Session

__all__ = [
    "Adaptive",
    "Forecast",
    "Hold",
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
    "load_plan",
    "presets",
    "restore",
    "save_plan",
]
