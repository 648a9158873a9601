"""Processes that compute one model together: each of them has to run the same layers at each call.

One that runs a step in full while another does not waits for it for ever. What decides may differ between
them: with context parallelism each sees its own part of the latents, prompts and features.
"""

from typing import Any

import torch
from torch import distributed, nn

from mmcache.compat.spread_models import is_spread, process_groups, token_group
from mmcache.engine.lanes import Lane
from mmcache.plans.forecast import Total
from mmcache.plans.plan import Plan


def split_decision(model: nn.Module, plan: Plan) -> str:
    """Why a plan cannot be followed by processes together; "" if it can, or the model is in one alone."""
    if not (plan.policy.needs_change and is_spread(model)):
        return ""
    return (
        f"is spread over processes, and under {type(plan.policy).__name__} each would decide by its own part "
        f"of the data: take a policy that looks at the step alone, such as Uniform(3)"
    )


class Processes:
    """Those that compute a model together, in one run.

    Args:
        model: the model; None for one that is in this process alone.

    Attributes:
        total: sums over the processes that each have some of the tokens; None where there are no others.
    """

    def __init__(self, model: nn.Module | None = None) -> None:
        self._groups = () if model is None else process_groups(model)
        tokens = None if model is None else token_group(model)
        self.total: Total = None if tokens is None else lambda values: summed(values, tokens)

    def agree(self, branch: int | None, lane: Lane, device: torch.device) -> int | None:
        """The branch of a call: full (None) unless every process goes on from the same lane.

        All processes ask at each call. Where they do not agree, the lane's features are dropped in all of
        them: some may be of another lane. On a GPU it waits for the device.

        Args:
            branch: what this process would run.
            lane: of the call.
            device: where the call's tensors are.
        """
        if not self._groups:
            return branch
        place = -1 if branch is None else lane.place
        ends = torch.tensor([place, -place], device=device)
        for group in self._groups:
            distributed.all_reduce(ends, distributed.ReduceOp.MIN, group)
        least, most = ends.tolist()
        if least == -most:
            return branch
        lane.drop_features()
        return None


def summed(values: torch.Tensor, group: Any) -> torch.Tensor:
    """The sum over a group of processes, the same bits in each."""
    values = values.clone()
    distributed.all_reduce(values, group=group)
    return values
