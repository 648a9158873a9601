"""Which pipeline is calling: two pipelines may share a denoiser and even a scheduler."""

import sys
from collections.abc import Sized
from types import FrameType
from typing import Any, NamedTuple

import torch

from mmcache.patching.pipeline_kinds import is_block, is_pipeline

# Frames that lie between a pipeline and its denoiser; their locals need not be looked at.
_BETWEEN = ("torch", "accelerate", "diffusers.hooks", "diffusers.models", "mmcache")


CALLBACKS = ("callback_on_step_end", "callback")  # the second one in pipelines that have not changed since
MOST_CALLERS = 8  # whose variables are looked at


class Caller(NamedTuple):
    """A pipeline on the call stack.

    Attributes:
        pipeline: classic or modular.
        steps: how many steps its run has, if it says so; it may stop before its scheduler's last one.
        callback: whether its user's function is called behind each step.
        exchangeable: what that function is given beside the latents, and may exchange.
        blends: whether somebody's own code may change the latent, and so may the pipeline: it has a mask, by
            which it may put an image of its own back.
    """

    pipeline: Any
    steps: int | None
    callback: bool = False
    blends: bool = False
    exchangeable: tuple[str, ...] = ()


def calling_pipelines() -> list[Caller]:
    """The diffusers pipelines on the call stack, the innermost first; none in someone's own loop.

    Attributes that a pipeline sets on itself would also tell, but not all pipelines set them; its frame
    is always there. A modular pipeline is known by the frames of its blocks, which may be called without it.
    A walk takes microseconds.
    """
    found: dict[int, Caller] = {}
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_varnames[:1] == ("self",) and not frame.f_globals.get("__name__", "").startswith(_BETWEEN):
            caller = caller_of(frame)
            known = None if caller is None else found.get(id(caller.pipeline))
            if caller is not None and (known is None or known.steps is None or caller.callback):
                found[id(caller.pipeline)] = caller
        frame = frame.f_back
    return list(found.values())


def is_variable_of_callers(thing: Any) -> bool:
    """Whether a local variable of those who call now is this very object, or one of a modular block's state.

    The innermost callers are looked at: a pipeline, or someone's own loop and what it is made of. A walk
    takes microseconds.
    """
    frame: FrameType | None = sys._getframe(1)
    left = MOST_CALLERS
    while frame is not None and left:
        if not frame.f_globals.get("__name__", "").startswith(_BETWEEN):
            variables = frame.f_locals
            if any(value is thing for value in variables.values()):
                return True
            state = getattr(variables.get("block_state"), "__dict__", {})
            if any(value is thing for value in state.values()):
                return True
            left -= 1
        frame = frame.f_back
    return False


def caller_of(frame: FrameType) -> Caller | None:
    """The pipeline that a method is of, or that a block of a modular pipeline was called with."""
    method_of = frame.f_locals.get("self")
    if is_pipeline(method_of):
        steps = getattr(method_of, "_num_timesteps", None)
        callback = calls_back(frame)
        own_code = callback or not is_of_diffusers(method_of)
        exchangeable = given_to_callback(frame) if callback else ()
        return Caller(method_of, steps, callback, own_code and has_mask(frame), exchangeable)
    if not is_block(method_of):
        return None
    arguments = frame.f_code.co_varnames[1 : frame.f_code.co_argcount]
    given = frame.f_locals.get(arguments[0]) if arguments else None
    if not is_pipeline(given):
        return None
    timesteps = getattr(frame.f_locals.get("block_state"), "timesteps", None)
    return Caller(given, len(timesteps) if isinstance(timesteps, Sized) else None)


def calls_back(frame: FrameType) -> bool:
    """Whether a pipeline's method calls its user's function behind each step; read from diffusers, 0.42."""
    names = frame.f_code.co_varnames
    return any(name in names and frame.f_locals.get(name) is not None for name in CALLBACKS)


def given_to_callback(frame: FrameType) -> tuple[str, ...]:
    """The names of what a pipeline's callback is given beside the latents."""
    names = frame.f_locals.get("callback_on_step_end_tensor_inputs") or ()
    return tuple(name for name in names if name != "latents")


def is_of_diffusers(pipeline: Any) -> bool:
    """Whether it is one that diffusers brings along."""
    return type(pipeline).__module__.startswith("diffusers.")


def has_mask(frame: FrameType) -> bool:
    """Whether a pipeline's method has a mask of what it draws: inpainting, frames that are given.

    Masks of words have two dimensions, or are those of attention.
    """
    return any(
        "mask" in name and "attention" not in name and isinstance(value, torch.Tensor) and value.dim() > 2
        for name, value in frame.f_locals.items()
    )
