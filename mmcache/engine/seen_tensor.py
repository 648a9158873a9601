"""A tensor that calls are conditioned on, and whether its numbers still are those of before."""

from collections.abc import Iterator
from typing import Any

import torch

from mmcache.clocks.latents import version_of

SOME = 32  # numbers of a tensor that are looked at, at least


class Borrowed:
    """A tensor that belongs to the caller: referred to, so that its place is not another's meanwhile."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


class Held:
    """A tensor that nobody but this holds: the caller makes it anew at every call."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


class Seen:
    """A tensor as it was when it was last seen.

    Attributes:
        version: how often it had been written; None for one of `torch.inference_mode`, where nobody counts.
        place: where its values lay.
        numbers: some of them, where they are looked at; None elsewhere.
        copy: its values, of one that is written in place: only they tell whether it changes.
        rebuilt: the caller makes it anew at every call, so that nobody but this holds it.
    """

    __slots__ = ("_looks", "_then", "copy", "numbers", "place", "rebuilt", "version")

    def __init__(self, tensor: torch.Tensor, written: bool, looks: bool) -> None:
        self.rebuilt = False
        self._looks = looks
        self.see(tensor)
        self.copy = tensor.detach().clone() if written or counts_nothing(tensor) else None

    def is_of(self, tensor: torch.Tensor) -> bool:
        return self._then.tensor is tensor

    def see(self, tensor: torch.Tensor) -> None:
        self._then = Held(tensor) if self.rebuilt else Borrowed(tensor)
        self.version, self.place = version_of(tensor), tensor.data_ptr()
        self.numbers = some_numbers(tensor) if self._looks else None

    def see_equal(self, tensor: torch.Tensor) -> None:
        """The tensor has other places, or was written, but its values are those of before."""
        self.rebuilt |= self._then.tensor is not tensor
        self.see(tensor)

    def is_same(self, now: torch.Tensor) -> bool:
        """Whether these are the same numbers, as far as their place in memory tells, and some of them."""
        if self.version is None and self.copy is not None:
            return False
        then = self._then.tensor
        is_it = then is now or (
            then.shape == now.shape
            and then.dtype == now.dtype
            and then.device == now.device
            and then.stride() == now.stride()
            and version_of(then) == self.version
        )
        return is_it and self._is_as_it_was(now)

    def _is_as_it_was(self, tensor: torch.Tensor) -> bool:
        if tensor.data_ptr() != self.place or version_of(tensor) != self.version:
            return False
        return self.numbers is None or some_numbers(tensor) == self.numbers

    def values(self) -> torch.Tensor | None:
        """The numbers as they were; None if they were written over."""
        if self.copy is not None:
            return self.copy
        then = self._then.tensor
        return then if self._is_as_it_was(then) else None

    def tensors(self) -> Iterator[torch.Tensor]:
        """What is held of it that the caller does not hold."""
        if self.copy is not None:
            yield self.copy
        elif self.rebuilt:
            yield self._then.tensor


def counts_nothing(tensor: torch.Tensor) -> bool:
    """Whether only values show that a tensor was written, and to look at them waits for no device."""
    return tensor.is_inference() and tensor.device.type == "cpu"


def some_numbers(tensor: torch.Tensor) -> list[Any] | None:
    """Some of a tensor's numbers, where a look at them waits for no device.

    torch does not count what is written through `tensor.data` or `tensor.numpy()`.
    """
    if type(tensor) is not torch.Tensor or not tensor.is_cpu or not tensor.is_contiguous():
        return None
    flat = tensor.detach().view(-1)
    found: list[Any] = flat[:: max(1, len(flat) // SOME)].tolist()
    return found
