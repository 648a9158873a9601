"""Forwards that somebody else has put on a module, repeated on a copy of it.

accelerate's hooks and diffusers' hook registry replace `forward` on the instance by one that is bound to that
instance. On a shallow copy it would run the original, with all of its children. So it is built anew for the
copy: the same hooks, around the class's own forward of the copy.

Read from accelerate/hooks.py (1.x) and diffusers/hooks/hooks.py (0.42).
"""

import functools
import types
from collections.abc import Callable
from typing import Any

from torch import nn

from mmcache.errors import UnsupportedPipelineError
from mmcache.patching.forward_patch import ForwardPatch, buried_patch, is_own_forward

Forward = Callable[..., Any]


def rebind_forward(live: nn.Module, twin: nn.Module) -> None:
    """Let a copy with other children run its own children, whatever forward its original has.

    Raises:
        UnsupportedPipelineError: the forward is of a kind that cannot be built anew.
    """
    tables = vars(twin)
    context = getattr(live, "dynamo_ctx", None)
    if "_orig_mod" in live._modules and context is not None:  # torch.compile(module)
        tables["forward"] = context(twin.get_submodule("_orig_mod").__call__)
        return
    for name in ("_old_forward", "forward"):  # accelerate keeps the forward below its hook in the first one
        if buried_patch(tables.get(name), live) is not None:
            del tables[name]  # a wrapper that calls mmcache's patch, which in turn calls this copy
        elif tables.get(name) is not None:
            forward = without_patches(tables[name])
            if name == "forward" and is_own_forward(forward, live):
                del tables[name]  # the class has it; bound to the copy, it would keep the copy alive
            else:
                tables[name] = rebound(forward, live, twin)


def without_patches(forward: Forward) -> Forward:
    """A forward below mmcache's own patches, which are no business of a copy."""
    while isinstance(forward, ForwardPatch):
        forward = forward.inner
    return forward


def rebind_compiled_call(live: nn.Module, twin: nn.Module) -> None:
    """Compile the copy of a module that its owner has compiled (`module.compile()`), in the same way."""
    compiled = live._compiled_call_impl
    if compiled is None:
        return
    context = closure_of(compiled).get("self")
    vars(twin)["_compiled_call_impl"] = context(twin._call_impl) if callable(context) else None


def rebound(forward: Forward, live: nn.Module, twin: nn.Module) -> Forward:
    """A forward that is bound to a module, bound to its copy.

    Raises:
        UnsupportedPipelineError: it is of a kind that cannot be built anew.
    """
    if isinstance(forward, ForwardPatch):
        return functools.partial(forward.around_other, rebound(forward.inner, live, twin))
    compiled = getattr(forward, "_torchdynamo_orig_callable", None)
    if compiled is not None:
        return closure_of(forward)["self"](rebound(compiled, live, twin))  # type: ignore[no-any-return]
    if isinstance(forward, types.MethodType) and forward.__self__ is live:
        return types.MethodType(forward.__func__, twin)
    if isinstance(forward, functools.partial) and isinstance(forward.func, types.MethodType | ForwardPatch):
        inner = rebound(forward.func, live, twin)  # somebody has given the forward an argument
        return functools.partial(inner, *forward.args, **forward.keywords)
    if isinstance(forward, functools.partial) and forward.args == (live,):
        reference = closure_of(forward.func).get("function_reference")
        if reference is not None:  # diffusers: its hooks compare the module with the leader of their group
            return functools.partial(hooked, reference, live, rebound(reference.forward, live, twin))
        if "_old_forward" in vars(live):  # accelerate: its hook moves the weights of the module it is given
            return functools.partial(forward.func, twin)
    raise UnsupportedPipelineError(
        f"the forward of a {type(live).__name__} was replaced by {name_of(forward)}, which cannot be "
        f"repeated on a smaller copy of it: remove that, or choose another branch"
    )


def hooked(reference: Any, live: nn.Module, forward: Forward, *args: Any, **kwargs: Any) -> Any:
    """A call with one of diffusers' hooks around it, which is told of the original module."""
    args, kwargs = reference.pre_forward(live, *args, **kwargs)
    return reference.post_forward(live, forward(*args, **kwargs))


def closure_of(function: Any) -> dict[str, Any]:
    """The variables that a function has from where it was defined, by name."""
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    values = (cell.cell_contents for cell in cells or ())
    return {} if code is None else dict(zip(code.co_freevars, values, strict=True))


def name_of(forward: Any) -> str:
    """What replaced a forward, as its author calls it."""
    function = forward.func if isinstance(forward, functools.partial) else forward
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__qualname__", type(function).__name__)
    return f"{type(owner).__name__}.{name.rpartition('.')[2]}" if owner is not None else name
