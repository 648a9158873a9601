"""What counts as a pipeline: diffusers' classic ones, and its modular ones (`ModularPipeline`)."""

import sys
from typing import Any

from diffusers import DiffusionPipeline

# Where diffusers has its modular pipelines. Importing it takes most of a second: whoever has one has done so.
_MODULAR = "diffusers.modular_pipelines.modular_pipeline"


def is_modular(thing: Any) -> bool:
    """Whether this is a modular pipeline of diffusers."""
    kind = getattr(sys.modules.get(_MODULAR), "ModularPipeline", None)
    return kind is not None and isinstance(thing, kind)


def is_pipeline(thing: Any) -> bool:
    """Whether this is a pipeline of diffusers, classic or modular."""
    return isinstance(thing, DiffusionPipeline) or is_modular(thing)


def is_block(thing: Any) -> bool:
    """Whether this is one of the blocks that a modular pipeline is made of."""
    kind = getattr(sys.modules.get(_MODULAR), "ModularPipelineBlocks", None)
    return kind is not None and isinstance(thing, kind)
