"""The samplers of `--scheduler`: names that people know, and diffusers' schedulers behind them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmcache.errors import UnsupportedPipelineError, unknown_name


@dataclass(frozen=True)
class Sampler:
    """A scheduler of diffusers, by its class's name, and what makes it the sampler of that name."""

    scheduler: str
    options: Mapping[str, Any] = field(default_factory=dict)


# Stable Diffusion's PLMS is PNDM without its Runge-Kutta steps.
PLMS = Sampler("PNDMScheduler", {"skip_prk_steps": True})

SAMPLERS = {
    "ddim": Sampler("DDIMScheduler"),
    "ddpm": Sampler("DDPMScheduler"),
    "pndm": PLMS,
    "plms": PLMS,
    "euler": Sampler("EulerDiscreteScheduler"),
    "euler-ancestral": Sampler("EulerAncestralDiscreteScheduler"),
    "heun": Sampler("HeunDiscreteScheduler"),
    "dpm-solver": Sampler("DPMSolverMultistepScheduler"),
    "unipc": Sampler("UniPCMultistepScheduler"),
}


def find_sampler(name: str) -> Sampler:
    """The sampler of this name.

    Raises:
        ValueError: there is none.
    """
    if name not in SAMPLERS:
        raise ValueError(unknown_name("scheduler", name, SAMPLERS))
    return SAMPLERS[name]


def use_sampler(pipe: Any, name: str) -> None:
    """Give a pipeline another scheduler, with the noise schedule of the one that it has.

    Raises:
        ValueError: there is none of this name.
        UnsupportedPipelineError: the pipeline has no scheduler that could be exchanged.
    """
    before: Any = getattr(pipe, "scheduler", None)
    if not hasattr(before, "config"):
        raise UnsupportedPipelineError(
            f"{type(pipe).__name__} has no scheduler that could be exchanged: leave --scheduler out"
        )
    pipe.scheduler = sampler_like(before, name)


def sampler_like(before: Any, name: str) -> Any:
    """The sampler of this name, with the noise schedule of another one; None for its own.

    Raises:
        ValueError: there is none of this name.
    """
    import diffusers

    sampler = find_sampler(name)
    config = {} if before is None else before.config
    return getattr(diffusers, sampler.scheduler).from_config(config, **sampler.options)
