"""Models that several processes compute together, each with a part of the tokens or of the weights.

Read from diffusers/models/_modeling_parallel.py (0.42) and torch.distributed.tensor (2.13).
"""

from typing import Any

from torch import distributed, nn


def is_spread(model: nn.Module) -> bool:
    """Whether other processes compute the model together with this one."""
    return getattr(model, "_parallel_config", None) is not None or mesh_of_weights(model) is not None


def mesh_of_weights(model: nn.Module) -> Any:
    """The mesh of processes that each have a part of its weights (tensor parallelism, FSDP); None if none."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return None
    from torch.distributed.tensor import DTensor

    spread = (weight for weight in model.parameters() if isinstance(weight, DTensor))
    return getattr(next(spread, None), "device_mesh", None)


def process_groups(model: nn.Module) -> tuple[Any, ...]:
    """The groups of processes that compute it, one for each dimension of their mesh; () if it is alone."""
    mesh = getattr(getattr(model, "_parallel_config", None), "_mesh", None)
    mesh = mesh_of_weights(model) if mesh is None else mesh
    return () if mesh is None else tuple(mesh.get_all_groups())


def token_group(model: nn.Module) -> Any:
    """The group of processes that each have some of the tokens (context parallelism); None if none."""
    config = getattr(getattr(model, "_parallel_config", None), "context_parallel_config", None)
    mesh = getattr(config, "_flattened_mesh", None)
    return None if mesh is None else mesh.get_group()


def asks_for_sizes(model: nn.Module) -> bool:
    """Whether processes tell each other the sizes of their parts at each call, which none can do alone."""
    config = getattr(getattr(model, "_parallel_config", None), "context_parallel_config", None)
    return any(getattr(config, name, False) for name in ("ulysses_anything", "ring_anything"))
