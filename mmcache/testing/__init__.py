"""The laws that every adapter obeys, for whoever writes one.

from mmcache.testing import check_adapter
check_adapter(make_pipe, sample)
"""

from mmcache.testing.forecast_outputs import check_output_forecast
from mmcache.testing.kept_features import check_kept_apart, check_one_feature
from mmcache.testing.laws import (
    check_adapter,
    check_cheaper,
    check_fresh,
    check_independent,
    check_interval_one,
    check_refuse,
    check_restore,
    check_same_input,
    check_side_networks,
)
from mmcache.testing.live_model_laws import check_shared, check_untouched
from mmcache.testing.probes import LawBroken

__all__ = [
    "LawBroken",
    "check_adapter",
    "check_cheaper",
    "check_fresh",
    "check_independent",
    "check_interval_one",
    "check_kept_apart",
    "check_one_feature",
    "check_output_forecast",
    "check_refuse",
    "check_restore",
    "check_same_input",
    "check_shared",
    "check_side_networks",
    "check_untouched",
]
