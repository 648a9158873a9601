"""Verification of a cut that no adapter describes: on a real call, before anything is cached.

Right behind a full step, a cached one is computed on the same input. It has to give the same output bit for
bit (the first law of `mmcache.testing`); if it does not, every step is full. So it is where the model keeps
something from call to call, or draws random numbers: on a cached step the deep blocks would not. That is
looked for first, so that a further call of such a model does not change it.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map_only

from mmcache.caller import warn
from mmcache.clocks.latents import tensors_in
from mmcache.compat.group_offload import bring_ahead
from mmcache.engine.hidden_state import random_states, same_states, state_of
from mmcache.engine.kept_output import is_answered_by_output
from mmcache.engine.run_views import Variant
from mmcache.layouts.cut import Cut, cached_view, filled
from mmcache.plans.forecast import Feature


class CutVerification:
    """What was verified of one denoiser's cuts.

    Attributes:
        needed: False for a class that an adapter describes: there the laws are tests.
        failure: why nothing is cached; "" as long as nothing speaks against it.
        verified: the forms of the calls that the cuts were verified for.
    """

    def __init__(self, needed: bool) -> None:
        self.needed = needed
        self.failure = ""
        self._before: Hashable = None
        self._random: list[Any] = []
        self.verified: set[Hashable] = set()
        self._forward: Any = None

    def follow(self, kind: type[nn.Module]) -> None:
        """What was found out of a forward does not hold once somebody has put another one on the class."""
        forward, before = getattr(kind, "forward", None), self._forward
        self._forward = forward
        if before is not None and forward is not before:
            self.needed, self.failure = True, ""
            self.verified.clear()

    def is_missing(self, form: Hashable) -> bool:
        """Whether a call of this form is the first of its kind."""
        return self.needed and not self.failure and form not in self.verified

    def begin(self, whole: nn.Module, arguments: dict[str, Any]) -> dict[str, Any]:
        """Before a full step: remember how the model is.

        Returns:
            The arguments once more, in case that the model changes them.
        """
        self._before, self._random = state_of(whole), random_states()
        if not is_answered_by_output(arguments):
            self.fail("it is given a store that lives from call to call")
        return copied(arguments)

    def verify(
        self,
        form: Hashable,
        model: nn.Module,
        whole: nn.Module,
        features: Mapping[Cut, Feature],
        forward: Callable[..., Any],
        arguments: dict[str, Any],
        result: Any,
    ) -> None:
        """Compute a cached step on the input of a full one, and compare.

        Args:
            form: of the call.
            model: the denoiser.
            whole: the view of it that a full step runs.
            features: what the full step left, by cut.
            forward: the model's.
            arguments: those of the full step, by name, as `begin` returned them.
            result: what the full step returned.
        """
        if state_of(whole) != self._before:
            self.fail("the model keeps something from call to call")
        elif not same_states(random_states(), self._random):
            self.fail("the model draws random numbers, of which a cached step would draw others")
        elif not any(features.values()):
            self.fail("its blocks hand on something else than hidden states")
        self._before, self._random = None, []
        if self.failure:
            return
        for cut, feature in features.items():
            found = difference(result, model, cut, feature, forward, arguments) if feature else ""
            if found:
                self.fail(f"cutting it at branch {cut.branch} is not right, on the same input {found}")
                return
        self.verified.add(form)

    def fail(self, why: str) -> None:
        """Cache nothing more."""
        self.failure = why
        warn(f"every step is full: {why}")


def difference(
    result: Any,
    model: nn.Module,
    cut: Cut,
    feature: Feature,
    forward: Callable[..., Any],
    arguments: dict[str, Any],
) -> str:
    """In what a cached step on the same input differs from a full one, in words; "" if in nothing."""
    try:
        bring_ahead(model)
        smaller = Variant(model, cached_view(model, cut), ())
        with same_random_numbers(result), filled(cut.slot, feature):
            again = smaller.run(forward, cut.arguments(arguments))
        return compare(result, again)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a foreign forward raises when it is made smaller
        return f"a cached step fails with {type(error).__name__}: {error}"


def copied(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call with tensors and containers of their own."""
    found: dict[str, Any] = tree_map_only(torch.Tensor, torch.clone, arguments)
    return found


def same_random_numbers(result: Any) -> Any:
    """Within it the random numbers are used that are used again afterwards."""
    devices = {leaf.device for leaf in tensors_in(result) if leaf.is_cuda}
    return torch.random.fork_rng(devices=sorted(devices, key=str))


def compare(result: Any, again: Any) -> str:
    """In what two results differ, in words; "" if they are equal bit for bit."""
    one, other = tensors_in(result), tensors_in(again)
    if not one:
        return f"there is nothing to compare in a {type(result).__name__}"
    if [tensor.shape for tensor in one] != [tensor.shape for tensor in other]:
        return "a cached step returns other shapes"
    off = [(a.float() - b.float()).abs().max().item() for a, b in zip(one, other, strict=True)]
    return "" if not any(off) else f"a cached step differs by up to {max(off):.3g}"
