"""Multiply-adds of a denoiser's calls: from their shapes when somebody asks, or while they run."""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from mmcache.adapter import Adapter
from mmcache.counting import while_running
from mmcache.macs import count_macs, skip_branch


class CallMacs:
    """What each kind of call takes, counted once.

    Args:
        model: the denoiser.
        adapter: describes it.
        while_running: its calls are counted while they run, since shapes alone do not tell.
    """

    def __init__(self, model: nn.Module, adapter: Adapter, while_running: bool) -> None:
        self.model = model
        self.adapter = adapter
        self.while_running = while_running
        self._counted: dict[Hashable, int | None] = {}

    def of(self, signature: Hashable, shapes: dict[str, Any], branch: int | None) -> int | None:
        """Of a call with this signature at this branch (None: full); None where it was not counted."""
        key = self._key(signature, branch)
        if key not in self._counted and not self.while_running:
            smaller = None if branch is None else skip_branch(self.adapter.cut, branch)
            self._counted[key] = count_macs(self.model, shapes, smaller)
        return self._counted.get(key)

    @contextmanager
    def counting(self, signature: Hashable, branch: int | None) -> Iterator[None]:
        """Around a call: counts it, if that is the way and none of its kind was counted before."""
        if not self.while_running:
            yield
            return
        key = self._key(signature, branch)
        with while_running(key not in self._counted) as total:
            yield
        self._counted.setdefault(key, total())

    def _key(self, signature: Hashable, branch: int | None) -> Hashable:
        size = sum(1 for _ in self.model.modules())  # an adapter such as LoRA adds modules
        return size, signature, branch
