"""The one thing placed on a model: a patch of `forward` on the instance.

It goes in where the model's own `forward` stands, innermost: under the hooks of accelerate (CPU offload)
and of diffusers (group offload, layerwise casting), which then see the whole model and may be removed and
put back, as pipelines with CPU offload do after every call. A compiled model is the exception: there it
goes around the compiled call, so that what it decides is not traced.
"""

import copy
import functools
import threading
import types
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import torch
from torch import nn

from mmcache.patching.endless_arguments import refuse_endless

Around = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Called in place of a model's forward, with that forward and the arguments of the call."""


# Pipelines that share a model are accelerated, and dropped, in many threads. It is taken again where the last
# reference to a pipeline goes while a patch is placed.
_placing = threading.RLock()


class ForwardPatch:
    """Stands in for `inner`; `around` decides what becomes of a call, on behalf of `owner`.

    Attributes:
        released: it was taken off. Where somebody has wrapped it meanwhile it stays in their chain, and then
            calls go through as if it were not there.
    """

    def __init__(
        self, inner: Callable[..., Any], around: Around, owner: object = None, had_forward: bool = False
    ) -> None:
        functools.update_wrapper(self, inner, updated=())  # signature and name, as pipelines look for them
        self.inner = inner
        model = getattr(inner, "__self__", None)
        self._model = model if is_own_forward(inner, model) else None
        self.around = around
        self.owner = owner
        self.had_forward = had_forward
        self.released = False

    def __reduce__(self) -> Any:
        """A pickled copy of the model is not accelerated."""
        return itself, (self.inner,)

    def __get__(self, model: object, kind: type | None = None) -> "ForwardPatch":
        """Bound already, as the method that it stands in for: other caches bind what they found again."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy of the model (for an exponential moving average, say) is not accelerated."""
        return copy.deepcopy(self.inner, memo)

    def revive(self, around: Around, owner: object) -> Callable[[], None]:
        """Act again, for another owner; returns the undo."""
        self.around, self.owner, self.released = around, owner, False

        def undo() -> None:
            self.released = True

        return undo

    def renew(self) -> None:
        """Look up the forward of the model's class once more: somebody may have put another one there."""
        if self._model is None:
            return
        now = type(self._model).forward
        if now is not getattr(self.inner, "__func__", now):
            self.inner = types.MethodType(now, self._model)

    def around_other(self, inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The same around another forward."""
        return self.around(inner, args, kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.renew()
        # A model that is exported or traced is the plain one.
        if self.released or torch.compiler.is_exporting() or torch._C._is_tracing():
            return self.inner(*args, **kwargs)
        return self._not_traced(*args, **kwargs)

    # Compiled after it was patched, the model's own forward is what the compiler gets to see.
    @functools.partial(torch.compiler.disable, recursive=False)
    def _not_traced(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.around(self.inner, args, kwargs)
        except RecursionError as error:
            refuse_endless(error, getattr(self.inner, "__self__", None), args, kwargs)
            raise


def itself(forward: Callable[..., Any]) -> Callable[..., Any]:
    return forward


def below(forward: Callable[..., Any], kind: type) -> Callable[..., Any]:
    """The forward under the patches of this kind, other sessions' too: only one of them acts in a call."""
    while isinstance(forward, ForwardPatch) and isinstance(forward.around, kind):
        forward = forward.inner
    return forward


Place = tuple[MutableMapping[str, Any], str]


def unwrap_compiled(model: nn.Module) -> nn.Module:
    """The model itself, where `torch.compile(model)` has put a wrapper around it."""
    return getattr(model, "_orig_mod", model)


def compiled_place(model: nn.Module) -> Place | None:
    """Where the compiled call of a model is kept; None if it is not compiled."""
    if unwrap_compiled(model) is not model:  # torch.compile(model)
        return model.__dict__, "forward"
    if model._compiled_call_impl is not None:  # model.compile()
        return model.__dict__, "_compiled_call_impl"
    return None


def is_compiled(model: nn.Module) -> bool:
    """Whether calls of the model go through a compiled graph."""
    return compiled_place(model) is not None


def places(model: nn.Module) -> Iterator[Place]:
    """Everywhere a forward of this model may be kept: the instance, hooks around it, other patches."""
    for name in ("forward", "_old_forward", "_compiled_call_impl"):  # _old_forward: accelerate's hooks
        if model.__dict__.get(name) is not None:
            yield from _with_patches((model.__dict__, name))
    for reference in getattr(getattr(model, "_diffusers_hook", None), "_fn_refs", ()):
        for name in ("forward", "original_forward"):
            if reference.__dict__.get(name) is not None:
                yield from _with_patches((reference.__dict__, name))


def _with_patches(place: Place) -> Iterator[Place]:
    yield place
    table, name = place
    if isinstance(table[name], ForwardPatch):
        yield from _with_patches((table[name].__dict__, "inner"))


def is_own_forward(function: Any, model: Any) -> bool:
    """Whether this is the forward that the model's class defines."""
    bound = isinstance(function, types.MethodType) and function.__self__ is model
    return bound and function.__func__ is getattr(type(model), "forward", None)


def is_foreign_method(function: Any, model: nn.Module) -> bool:
    """Whether this is somebody's method bound to the model in place of the forward that its class defines."""
    bound = isinstance(function, types.MethodType) and function.__self__ is model
    return bound and not is_own_forward(function, model)


def patch_forward(model: nn.Module, around: Around, owner: object = None) -> Callable[[], None]:
    """Place a patch; returns the undo, which finds it wherever it then stands."""
    with _placing:
        return _patch_forward(model, around, owner)


def _patch_forward(model: nn.Module, around: Around, owner: object) -> Callable[[], None]:
    for known in forward_patches(model):
        known.renew()
    place = compiled_place(model) or next(
        ((table, name) for table, name in places(model) if is_own_forward(table[name], model)), None
    )
    outermost = model.__dict__.get("forward")
    buried = buried_patch(outermost, model) if place is None else None
    if buried is not None and buried.released:
        return buried.revive(around, owner)
    table, name = place or (model.__dict__, "forward")
    # Whether the instance has a forward of its own, left there by somebody else.
    had_forward = outermost.had_forward if isinstance(outermost, ForwardPatch) else outermost is not None
    patch = ForwardPatch(table.get(name) or model.forward, around, owner, had_forward)
    table[name] = patch

    def take_off() -> None:
        patch.renew()
        for table, name in places(model):
            if table[name] is patch:
                table[name] = acting(patch.inner)
                stands_alone = table is model.__dict__ and name == "forward"
                if stands_alone and not had_forward and is_own_forward(table[name], model):
                    del table[name]  # the class's own again
                return

    def undo() -> None:
        patch.released = True
        with _placing:
            take_off()

    return undo


def acting(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A forward without the patches around it that were taken off while another one was placed on them."""
    while isinstance(forward, ForwardPatch) and forward.released:
        forward = forward.inner
    return forward


def buried_patch(forward: Any, model: nn.Module, depth: int = 3) -> ForwardPatch | None:
    """A patch that somebody's own wrapper calls: it was put around the model's forward after `accelerate`.

    Args:
        forward: the wrapper.
        model: the patch's.
        depth: how many wrappers are looked through.
    """
    for found in called_by(forward):
        if isinstance(found, ForwardPatch):
            found.renew()
            if is_own_forward(found.inner, model):
                return found
        deeper = buried_patch(found, model, depth - 1) if depth and callable(found) else None
        if deeper is not None:
            return deeper
    return None


def called_by(wrapper: Any) -> list[Any]:
    """What a function may call: what it has from where it was defined, and the globals that it names."""
    if isinstance(wrapper, functools.partial):
        return [wrapper.func, *wrapper.args]
    function = getattr(wrapper, "__func__", wrapper)
    code = getattr(function, "__code__", None)
    if code is None:  # an object that is called, such as accelerate's around mixed precision
        return (
            [] if isinstance(function, type | nn.Module) else list(getattr(function, "__dict__", {}).values())
        )
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return cells + [function.__globals__[name] for name in code.co_names if name in function.__globals__]


def forward_patches(model: nn.Module) -> list[ForwardPatch]:
    """The patches on a model, whosever they are."""
    found = {
        id(table[name]): table[name] for table, name in places(model) if isinstance(table[name], ForwardPatch)
    }
    return list(found.values())
