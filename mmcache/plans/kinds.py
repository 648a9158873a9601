"""The policies and forecasts that a plan file may name."""

from collections.abc import Mapping

from mmcache.plans import forecast, policy

POLICIES: Mapping[str, type] = {
    cls.__name__: cls for cls in (policy.Uniform, policy.NonUniform, policy.StepMask, policy.Adaptive)
}
FORECASTS: Mapping[str, type] = {
    cls.__name__: cls for cls in (forecast.Hold, forecast.Taylor, forecast.Fitted)
}
EARLIER_KEYS = {"made_for": "calibrated_for"}  # files of version 0.1 have these
