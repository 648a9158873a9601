"""Another pipeline of the same models, for another thread."""

import copy
from typing import Any

from torch import nn

from mmcache.errors import shown
from mmcache.patching.pipeline_kinds import is_pipeline


def clone_pipeline(pipe: Any) -> Any:
    """Another pipeline of the same models, which may sample in another thread at the same time.

    Weights are shared. What a run changes is its own: schedulers, tokenizers, processors and guiders are
    copied. Tokenizers keep how they pad, and `encode_prompt` changes that between two calls of them, so
    threads that share one get wrong prompts now and then. Autoencoders that keep frames while they decode
    (those of Wan and Qwen-Image) are copied too, but for their weights.

    Unlike `from_pipe` it moves nothing to another dtype or device, and it takes no session along: accelerate
    the clone, or its pipe with `shared=True`.

    Args:
        pipe: a pipeline of diffusers, classic or modular; it stays as it is.

    Returns:
        A pipeline of the same class.

    Raises:
        TypeError: not a pipeline.
    """
    if not is_pipeline(pipe):
        raise TypeError(f"got {shown(pipe)}; wanted a pipeline of diffusers, such as StableDiffusionPipeline")
    return _cloned(pipe, {})


def _cloned(pipe: Any, copies: dict[int, Any]) -> Any:
    """A clone of a pipeline and of those that it is made of; parts that they share stay shared."""
    clone, components = copy.copy(pipe), pipe.components
    for name, part in list(vars(pipe).items()):
        if is_pipeline(part):
            setattr(clone, name, _cloned(part, copies))
        elif name in components and part is not None:
            if id(part) not in copies:  # a copy of a tokenizer takes a tenth of a second
                copies[id(part)] = _own(part)
            setattr(clone, name, copies[id(part)])
    if hasattr(clone, "_all_hooks"):
        clone._all_hooks = []  # `enable_model_cpu_offload` lets the pipeline take hooks off behind a run
    return clone


def _own(part: Any) -> Any:
    """A part for one pipeline alone where runs change it, else the part itself."""
    if isinstance(part, nn.Module):
        return copy.copy(part) if hasattr(part, "clear_cache") else part
    if isinstance(part, (list, tuple)):  # several ControlNets
        return part
    return copy.deepcopy(part)
