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
    if not has_others():
        return None
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor

    for module in model.modules():
        for weight in module._parameters.values():
            if isinstance(weight, DTensor):
                return weight.device_mesh
        # FSDP may hold weights whole between two calls, as those of the model itself.
        if isinstance(module, FSDPModule) and (mesh := mesh_of_fsdp(module)) is not None:
            return mesh
    return None


def has_others() -> bool:
    """Whether this is one of several processes."""
    return distributed.is_available() and distributed.is_initialized()


def mesh_of_fsdp(module: Any) -> Any:
    """The mesh over which `fully_shard` has spread a module's own weights; None if it has none itself."""
    state = module._get_fsdp_state()
    groups = getattr(state, "_fsdp_param_groups", None)  # older versions have one group at most
    groups = [state._fsdp_param_group] if groups is None else groups
    return next((group.mesh_info.mesh for group in groups if group is not None), None)


def wrapped_layers(model: nn.Module) -> str:
    """Why a model cannot be cut whose layers torch's older FSDP has wrapped; "" if there are none."""
    if not has_others():
        return ""
    from torch.distributed.fsdp import FullyShardedDataParallel

    wrapped = (path for path, layer in model.named_modules() if isinstance(layer, FullyShardedDataParallel))
    path = next(wrapped, None)
    if path is None:
        return ""
    return (
        f"has its {path} in a wrapper, torch's FullyShardedDataParallel, so it cannot be cut there: shard it "
        f"by torch.distributed.fsdp.fully_shard, which leaves blocks where they are"
    )


def class_below_fsdp(module: nn.Module) -> type[nn.Module]:
    """The class that a module had before `fully_shard` gave it another."""
    if not has_others():
        return type(module)
    from torch.distributed.fsdp import FSDPModule

    # FSDP's class, FSDPModule, the module's own class, and what that derives from.
    return type(module).__mro__[2] if isinstance(module, FSDPModule) else type(module)


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
