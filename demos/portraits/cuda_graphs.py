"""A model's forward and backward pass as a CUDA graph each.

Models as small as the miniatures spend their time on a GPU in launching kernels, thousands in every step of
training; a graph launches them at once.
"""

import torch
from torch import nn


def as_cuda_graphs(model: nn.Module, *example: torch.Tensor) -> nn.Module:
    """The model, which from now on answers inputs of these shapes by replaying graphs.

    It is captured as `training.train` calls it, with matrix products in bfloat16. Hooks of its modules are
    not called by a graph, and gradients stay in the graph's own memory until the next backward pass.

    Args:
        model: on a GPU, in training mode; all its answers are tensors.
        example: inputs of the shapes and types of every later call.
    """
    with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
        graphed = torch.cuda.make_graphed_callables(model, example, allow_unused_input=True)
    assert isinstance(graphed, nn.Module)  # as the model is one
    return graphed
