"""What a modular pipeline of diffusers is called with: its blocks say, its `__call__` does not."""

import inspect
from collections.abc import Mapping
from typing import Any

Parameters = Mapping[str, inspect.Parameter]


def modular_parameters(pipe: Any, *, required: bool = False) -> Parameters:
    """The inputs of a modular pipeline's blocks, as the parameters of a function would be.

    Args:
        pipe: the modular pipeline.
        required: only those that every call has to give. Blocks that choose a task by what they are given
            (`StableDiffusionXLAutoBlocks`) have the inputs of all tasks, and require those of none.
    """
    return {
        each.name: inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default)
        for each in pipe.blocks.inputs
        if each.name and (each.required or not required)
    }
