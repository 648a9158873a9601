"""Multiply-adds of a denoiser's calls: from their shapes when somebody asks, or while they run."""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from mmcache.architectures.adapter import Adapter
from mmcache.macs.conventions import while_running
from mmcache.macs.count import count_macs, skip_branch
from mmcache.patching.forward_patch import is_compiled
from mmcache.plans.branch import NOTHING


class CallMacs:
    """What each kind of call takes, counted once.

    Of an adapter that `data_dependent` calls are counted while they run, since shapes alone do not tell. Not
    where compiled graphs run in the model: to count operations one by one would keep them from being used.

    Args:
        model: the denoiser.
        adapter: describes it.
        compiled: whether it is called as a whole through a compiled graph, which its own modules do not show.
    """

    def __init__(self, model: nn.Module, adapter: Adapter, *, compiled: bool = False) -> None:
        self.model = model
        self.adapter = adapter
        self._compiled = compiled
        self._counted: dict[Hashable, int | None] = {}
        self.begin_run()

    def begin_run(self) -> None:
        """Look at the model once a run, as its cuts are made: it may have got LoRA, or been compiled."""
        self.while_running = self.adapter.data_dependent and not (
            self._compiled or any(is_compiled(module) for module in self.model.modules())
        )
        self._weights = weights_of(self.model) if self.while_running else None

    def of(self, signature: Hashable, shapes: dict[str, Any], branch: int | None) -> int | None:
        """Of a call with this signature at this branch (None: full); None where it was not counted."""
        if branch == NOTHING:
            return 0
        if self.while_running:
            return self._counted.get((self._weights, signature, branch))
        key = weights_of(self.model), signature, branch
        if key not in self._counted:
            smaller = None if branch is None else skip_branch(self.adapter.cut, branch)
            self._counted[key] = count_macs(self.model, shapes, smaller)
        return self._counted[key]

    @contextmanager
    def counting(self, signature: Hashable, branch: int | None) -> Iterator[None]:
        """Around a call: counts it, if that is the way and none of its kind was counted before."""
        if not self.while_running or branch == NOTHING:
            yield
            return
        key = self._weights, signature, branch
        with while_running(key not in self._counted) as total:
            yield
        self._counted.setdefault(key, total())


def weights_of(model: nn.Module) -> int:
    """A mark that changes when weights are added (LoRA) or exchanged for some of another shape.

    On them multiply-adds depend, beside the call. It looks at every module, which takes about a millisecond
    for a thousand.
    """
    shapes: list[Any] = []
    left, seen = [model], {id(model)}
    while left:
        module = left.pop()
        shapes += [weight.shape for weight in module._parameters.values() if weight is not None]
        for child in module._modules.values():
            if child is not None and id(child) not in seen:
                seen.add(id(child))
                left.append(child)
    return hash(tuple(shapes))
