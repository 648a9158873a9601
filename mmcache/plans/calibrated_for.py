"""What a calibrated plan was made for: it is at its best there, and nowhere else was it measured."""

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any

from mmcache.plans.values import Text, Whole, check_fields

# Entries of a config that say where a model came from, not what it is.
_ORIGIN = ("_name_or_path", "_class_name", "_diffusers_version", "_use_default_values", "sample_size")


@dataclass(frozen=True)
class CalibratedFor:
    """The circumstances of a calibration.

    Attributes:
        denoiser: class of the model.
        config: fingerprint of the model's config, see `fingerprint`; "" for any.
        scheduler: class of the sampler.
        steps: of a run.
        made: the date, as in 2026-11-23.
    """

    denoiser: Annotated[str, Text()]
    scheduler: Annotated[str, Text()]
    steps: Annotated[int, Whole(1)]
    config: Annotated[str, Text()] = ""
    made: Annotated[str, Text()] = ""

    def __post_init__(self) -> None:
        check_fields(self)

    def differences(self, model: Any, scheduler: Any) -> list[str]:
        """In what a pipeline differs from what the plan was made for, apart from the number of steps."""
        found = []
        if self.config and fingerprint(model) not in ("", self.config):
            found.append(f"another {self.denoiser} (its config differs)")
        if scheduler is not None and type(scheduler).__name__ != self.scheduler:
            found.append(f"the sampler {self.scheduler}, and this one is {type(scheduler).__name__}")
        return found


def fingerprint(model: Any) -> str:
    """Eight characters that are the same for models of one architecture; "" for one without a config."""
    config = dict(getattr(model, "config", None) or {})
    kept = {key: value for key, value in config.items() if key not in _ORIGIN}
    if not kept:
        return ""
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:8]
