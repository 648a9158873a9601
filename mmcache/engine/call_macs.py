"""Multiply-adds of a denoiser's calls: from their shapes when somebody asks, or while they run."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, ref

from torch import nn

from mmcache.architectures.adapter import Adapter
from mmcache.macs.count import count_macs, skip_branch
from mmcache.macs.operations import while_running
from mmcache.patching.forward_patch import is_compiled
from mmcache.plans.branch import NOTHING

# By model, for as long as it lives: a service makes a session for each request, and counting takes a while.
_counted: WeakKeyDictionary[nn.Module, dict[Hashable, int | None]] = WeakKeyDictionary()

NOT_COUNTED = nullcontext()

ByBranch = dict[int | None, int | None]
"""The multiply-adds of one kind of call at a branch (None: full); None where they cannot be counted."""


def counted_of(model: nn.Module) -> dict[Hashable, int | None]:
    """What was counted of a model's calls; keys begin with its adapter's name, or say who counts."""
    return _counted.setdefault(model, {})


class MacsLater:
    """Gives the multiply-adds of a run's calls behind it, when the model has changed or is gone.

    It keeps the model not alive. What was not counted before the weights changed is not known.

    Args:
        model: whose.
        adapter: the name of its adapter.
        weights: `weights_of` it.
        free: the branch, or the number of residuals, that takes nothing.
        find: counts a call of the model, by its signature and branch; by branch, what it found.

    Attributes:
        kind: calls of one kind, signature and branch take the same.
    """

    def __init__(
        self,
        model: nn.Module,
        adapter: str,
        weights: int | None,
        free: int,
        find: Callable[[nn.Module, Hashable, int | None], ByBranch],
    ) -> None:
        self.kind: Hashable = (id(model), adapter, weights)
        self._live, self._counted = ref(model), counted_of(model)
        self._adapter, self._weights, self._free, self._find = adapter, weights, free, find

    def __call__(self, signature: Hashable, branch: int | None) -> int | None:
        if branch == self._free:
            return 0
        key, model = (self._adapter, self._weights, signature, branch), self._live()
        if key not in self._counted and model is not None and weights_of(model) == self._weights:
            found = self._find(model, signature, branch)
            keep_counted(self._counted, found, (self._adapter, self._weights, signature))
        return self._counted.get(key)


MacsOf = Callable[[Hashable, int | None], int | None]
"""Multiply-adds of a call with this signature at this branch (None: full); None if not known."""


class CallMacs:
    """What each kind of call takes, counted once for each model.

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
        self._counted = counted_of(model)
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
            return self._counted.get(self._key(self._weights, signature, branch))
        key = self._key(weights_of(self.model), signature, branch)
        if key not in self._counted:
            keep_counted(self._counted, count(self.model, self.adapter, shapes, branch), key[:-1])
        return self._counted[key]

    def _key(self, weights: int | None, signature: Hashable, branch: int | None) -> tuple[Hashable, ...]:
        return self.adapter.name, weights, signature, branch

    def later(self, shapes: Mapping[Hashable, dict[str, Any]]) -> "MacsLater":
        """What calls of a run take, to be asked behind it.

        Args:
            shapes: the arguments of the run's calls, by signature.
        """
        adapter, running = self.adapter, self.while_running

        def find(model: nn.Module, signature: Hashable, branch: int | None) -> ByBranch:
            return {branch: None} if running else count(model, adapter, shapes[signature], branch)

        weights = self._weights if running else weights_of(self.model)
        return MacsLater(self.model, adapter.name, weights, NOTHING, find)

    def counting(self, signature: Hashable, branch: int | None) -> AbstractContextManager[None]:
        """Around a call: counts it, if that is the way and none of its kind was counted before."""
        counts = self.while_running and branch != NOTHING
        return self._while_running(signature, branch) if counts else NOT_COUNTED

    @contextmanager
    def _while_running(self, signature: Hashable, branch: int | None) -> Iterator[None]:
        key = self._key(self._weights, signature, branch)
        with while_running(key not in self._counted) as total:
            yield
        self._counted.setdefault(key, total())


def count(model: nn.Module, adapter: Adapter, shapes: dict[str, Any], branch: int | None) -> ByBranch:
    """Multiply-adds of a call by its shapes; of a cached one, those of the full one are found on the way."""
    if branch is None:
        return {None: count_macs(model, shapes)}
    found: ByBranch = {}
    found[branch] = count_macs(
        model, shapes, skip_branch(adapter.cut, branch, partial(found.setdefault, None))
    )
    return found


def keep_counted(counted: dict[Hashable, int | None], found: ByBranch, of: tuple[Hashable, ...]) -> None:
    """Add what was found of a kind of call, by branch."""
    for branch, macs in found.items():
        counted.setdefault((*of, branch), macs)


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
