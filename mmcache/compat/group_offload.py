"""diffusers' group offload at a cached step: who brings the weights where the block that does it is left out.

A group of blocks (`enable_group_offload`) is brought to the device by its first block, when that is called,
and sent back by its last. With streams a group is brought by the one before it, in the order that the first
full step has shown. So for as long as a cached step runs, the first and the last block that stay lead their
group, and what is brought ahead is the next group that stays.

Read from diffusers/hooks/group_offloading.py, 0.42. With one layer to a group and no streams nothing changes.
"""

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True, eq=False)
class Redirection:
    """An attribute of one of diffusers' groups or hooks, and what it is at a cached step."""

    thing: Any
    name: str
    value: Any


@dataclass(frozen=True, eq=False)
class KeptGroups:
    """The groups of a model of which a cached step leaves out something.

    Attributes:
        redirections: who leads a group, and which group is brought ahead.
        first: the group that the model itself would have brought ahead, if it had known of the cached step;
            None where that is what it does.
        unused: the group that it has brought ahead, where something of it does not run.
    """

    redirections: tuple[Redirection, ...] = ()
    first: Any = None
    unused: Any = None


@contextmanager
def within(groups: KeptGroups) -> Iterator[None]:
    """Around a cached step: every group that stays is brought and sent back."""
    before = [(one, getattr(one.thing, one.name)) for one in groups.redirections]
    try:
        for one in groups.redirections:
            setattr(one.thing, one.name, one.value)
        if groups.first is not None:
            groups.first.onload_()
        yield
    finally:
        for one, value in before:
            setattr(one.thing, one.name, value)
        if groups.unused is not None:
            groups.unused.offload_()


def kept_groups(model: nn.Module, kept: Set[nn.Module]) -> KeptGroups | None:
    """What the groups of a model need at a step that runs only some of its modules; None if it has no groups.

    With streams it has to be asked after the model's first call, which shows diffusers their order.

    Args:
        model: the model.
        kept: the modules that the step runs.
    """
    hooks = {module: hook for module in model.modules() if (hook := group_hook(module)) is not None}
    if not hooks:
        return None
    staying = {module: hook.group for module, hook in hooks.items() if module in kept}
    route = Route(
        {id(hook.group): hook for hook in hooks.values()}, {id(group) for group in staying.values()}
    )
    redirections = [*leaders(staying), *brought_ahead(hooks, staying, route)]

    own = hooks.get(model)
    group = None if own is None else own.next_group
    if group is None:
        return KeptGroups(tuple(redirections))
    first = None if id(group) in route.staying else route.next_from(own)
    whole = all(part in kept for module in group.modules for part in module.modules())
    return KeptGroups(tuple(redirections), first, None if whole else group)


def learns_order(model: nn.Module) -> bool:
    """Whether diffusers is looking in which order layers are called, to bring the next one ahead."""
    registries = (vars(module).get("_diffusers_hook") for module in model.modules())
    return any(found is not None and found.get_hook("layer_execution_tracker") for found in registries)


def bring_ahead(model: nn.Module) -> None:
    """Bring what diffusers brings ahead of a call of the model, before one that it does not see."""
    hook = group_hook(model)
    if hook is not None and hook.next_group is not None:
        hook.next_group.onload_()


def send_back(model: nn.Module) -> None:
    """Send back what a model has brought ahead for a call in which nothing of it runs."""
    hook = group_hook(model)
    if hook is not None and hook.next_group is not None:
        hook.next_group.offload_()


def group_hook(module: nn.Module) -> Any:
    """What diffusers has put around a module to move its group; None where there is none."""
    registry = vars(module).get("_diffusers_hook")
    return None if registry is None else registry.get_hook("group_offloading")


@dataclass(frozen=True)
class Route:
    """The order in which groups are brought ahead, and which of them stay.

    Attributes:
        hooks: by the identity of a group, the hook that names the group behind it.
        staying: the identities of the groups that stay.
    """

    hooks: Mapping[int, Any]
    staying: Set[int]

    def next_from(self, hook: Any) -> Any:
        """The next group that stays behind that of a hook; None behind the last."""
        seen: set[int] = set()  # a module that is called twice in a step makes a circle
        group = hook.next_group
        while group is not None and id(group) not in self.staying and id(group) not in seen:
            seen.add(id(group))
            group = self.hooks[id(group)].next_group if id(group) in self.hooks else None
        return group if id(group) in self.staying else None


def leaders(staying: Mapping[nn.Module, Any]) -> Iterator[Redirection]:
    """Let the first and the last module that stay lead, where a group's own leader does not stay."""
    members: dict[int, list[nn.Module]] = {}
    for module, group in staying.items():
        members.setdefault(id(group), []).append(module)
    for modules in members.values():
        group = staying[modules[0]]
        if group.onload_leader not in staying:
            yield Redirection(group, "onload_leader", modules[0])
        if group.offload_leader not in staying:
            yield Redirection(group, "offload_leader", modules[-1])


def brought_ahead(
    hooks: Mapping[nn.Module, Any], staying: Mapping[nn.Module, Any], route: Route
) -> Iterator[Redirection]:
    """Let no module that stays bring a group ahead that does not: the next that does, in its place."""
    for module in staying:
        hook = hooks[module]
        if hook.next_group is not None and id(hook.next_group) not in route.staying:
            yield Redirection(hook, "next_group", route.next_from(hook))
