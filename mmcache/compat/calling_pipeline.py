"""Which pipeline is calling: two pipelines may share a denoiser and even a scheduler."""

import functools
import sys
from collections.abc import Mapping, Sized
from types import CodeType, FrameType
from typing import Any, NamedTuple

import torch

from mmcache.compat.own_code import has_own_methods, is_own_frame
from mmcache.patching.pipeline_kinds import is_block, is_pipeline

# Frames that lie between a pipeline and its denoiser; their locals need not be looked at.
_BETWEEN = ("torch.", "accelerate.", "diffusers.hooks.", "diffusers.models.", "mmcache.")

CALLBACKS = ("callback_on_step_end", "callback")  # the second one in pipelines that have not changed since
MOST_CALLERS = 8  # whose variables are looked at


class Caller(NamedTuple):
    """A pipeline on the call stack.

    Attributes:
        pipeline: classic or modular.
        steps: how many steps its run has, if it says so; it may stop before its scheduler's last one.
        own_code: whether somebody's own code may run between its steps: a callback, a class or methods of
            one's own, or what was put around the denoiser.
        is_direct: whether nothing of somebody's own stands between it and the denoiser.
        has_mask: whether the pipeline itself may change the latent, and put an image of its own back.
        exchangeable: what a callback is given beside the latents, and may exchange.
    """

    pipeline: Any
    steps: int | None
    own_code: bool
    is_direct: bool
    has_mask: bool = False
    exchangeable: tuple[str, ...] = ()

    def around(self, inner: "Caller") -> "Caller":
        """What both show: a method of the same pipeline has called another one, as a subclass's does."""
        return Caller(
            self.pipeline,
            self.steps if inner.steps is None else inner.steps,
            self.own_code or inner.own_code,
            inner.is_direct,
            self.has_mask or inner.has_mask,
            inner.exchangeable or self.exchangeable,
        )


def is_between(module: str) -> bool:
    """Whether frames of the module of this name lie between a pipeline and its denoiser."""
    return f"{module}.".startswith(_BETWEEN)


def calling_pipelines() -> list[Caller]:
    """The diffusers pipelines on the call stack, the innermost first; none in someone's own loop.

    Attributes that a pipeline sets on itself would also tell, but not all pipelines set them; its frame
    is always there. A modular pipeline is known by the frames of its blocks, which may be called without it.
    A walk takes microseconds.
    """
    found: dict[int, Caller] = {}
    frame: FrameType | None = sys._getframe(1)
    own_code = False  # in the frames so far
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not is_between(module):
            between, own_code = own_code, own_code or is_own_frame(module)
            method = frame.f_code.co_varnames[:1] == ("self",)
            if method and (caller := caller_of(frame, own_code, between)) is not None:
                known = found.get(id(caller.pipeline))
                found[id(caller.pipeline)] = caller if known is None else caller.around(known)
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
        if not is_between(frame.f_globals.get("__name__", "")):
            variables = frame.f_locals
            state = getattr(variables.get("block_state"), "__dict__", {})
            # Copied at once: a notebook's variables are those of all its threads.
            if any(value is thing for value in (*variables.values(), *state.values())):
                return True
            left -= 1
        frame = frame.f_back
    return False


def caller_of(frame: FrameType, own_code: bool, between: bool) -> Caller | None:
    """The pipeline that a method is of, or that a block of a modular pipeline was called with.

    Args:
        frame: the method's, or the block's.
        own_code: whether somebody's own code runs in it, or between it and the denoiser.
        between: whether between them alone.
    """
    variables = frame.f_locals  # Python makes a copy whenever it is asked
    method_of = variables.get("self")
    if is_pipeline(method_of):
        steps = getattr(method_of, "_num_timesteps", None)
        callback = calls_back(variables)
        exchangeable = given_to_callback(variables) if callback else ()
        own_code = own_code or callback or is_own(method_of)
        masked = has_mask(frame.f_code, variables)
        return Caller(method_of, steps, own_code, not between, masked, exchangeable)
    if not is_block(method_of):
        return None
    arguments = frame.f_code.co_varnames[1 : frame.f_code.co_argcount]
    given = variables.get(arguments[0]) if arguments else None
    if not is_pipeline(given):
        return None
    timesteps = getattr(variables.get("block_state"), "timesteps", None)
    steps = len(timesteps) if isinstance(timesteps, Sized) else None
    return Caller(given, steps, own_code or is_own(given), not between)


def calls_back(variables: Mapping[str, Any]) -> bool:
    """Whether a pipeline's method calls its user's function behind each step; read from diffusers, 0.42."""
    return any(variables.get(name) is not None for name in CALLBACKS)


def given_to_callback(variables: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of what a pipeline's callback is given beside the latents."""
    names = variables.get("callback_on_step_end_tensor_inputs") or ()
    return tuple(name for name in names if name != "latents")


def is_own(pipeline: Any) -> bool:
    """Whether it is not one that diffusers brings along, or somebody has put methods on it."""
    return not type(pipeline).__module__.startswith("diffusers.") or has_own_methods(pipeline)


def has_mask(code: CodeType, variables: Mapping[str, Any]) -> bool:
    """Whether a pipeline's method has a mask of what it draws: inpainting, frames that are given.

    Masks of words have two dimensions, or are those of attention.
    """
    masks = [variables.get(name) for name in mask_names(code)]
    return any(isinstance(mask, torch.Tensor) and mask.dim() > 2 for mask in masks)


@functools.lru_cache(maxsize=1024)
def mask_names(code: CodeType) -> tuple[str, ...]:
    names = (*code.co_varnames, *code.co_cellvars, *code.co_freevars)
    return tuple(name for name in names if "mask" in name and "attention" not in name)
