"""The cut of a U-Net that has one skip connection per level.

Kandinsky 3, Stable Cascade, Würstchen's stage B, Dance Diffusion and UniDiffuser hand over what leaves a
down level to the up level of the same depth, one tensor for all layers of the level. Branch b keeps the
b + 1 outermost levels on both sides; everything between them is one slot (DeepCache, arXiv 2312.00858,
section 3.2, with a level where Stable Diffusion has a layer).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from mmcache.layouts.cut import Cut, Slot, Tap, check_branch
from mmcache.layouts.layout import NO_DEEP_PART
from mmcache.patching.swap import Swap, swap_child


@dataclass(frozen=True)
class LevelUNet:
    """Where a model class keeps its levels: the names of its lists, each with an entry per level.

    Attributes:
        down: the down levels, outermost first.
        up: the up levels, innermost first.
        middle: the module between them; "" where the innermost up level follows the innermost down level.
        within: the child of the model that has these lists; "" if it is the model itself.
        beside_down: further lists that are walked together with `down`.
        beside_up: further lists that are walked together with `up`; the last hands on what leaves a level.
        both_ways: a list with an entry for each down level and then for each up level.
    """

    down: str
    up: str
    middle: str = ""
    within: str = ""
    beside_down: tuple[str, ...] = ()
    beside_up: tuple[str, ...] = ()
    both_ways: str = ""

    refusal: ClassVar[str] = NO_DEEP_PART

    def branches(self, model: nn.Module) -> int:
        """How many branches the model has; without a middle, the slot takes the innermost level's place."""
        levels = len(self._list(model, self.up))
        return levels if self.middle else levels - 1

    def cut(self, model: nn.Module, branch: int) -> Cut:
        """Cut at `branch`: 0 keeps the outermost level only.

        Raises:
            ValueError: the model has no such branch.
        """
        check_branch(model, branch, self.branches(model))
        slot, tap = Slot(), Tap(f"mmcache.branch{branch}")
        first_up = len(self._list(model, self.up)) - 1 - branch
        kept_down = len(self._list(model, self.down)) - first_up
        return Cut(
            branch,
            tuple(self._shrink(model, slot, kept_down, first_up)),
            slot,
            tap,
            tuple(tap.on_output(self._exit(model, first_up - 1))),
            dict,
        )

    def _holder(self, model: nn.Module) -> nn.Module:
        return model.get_submodule(self.within)

    def _list(self, model: nn.Module, name: str) -> list[nn.Module]:
        return list(getattr(self._holder(model), name))

    def _exit(self, model: nn.Module, level: int) -> nn.Module:
        """The last module of an up level; the middle is level -1."""
        if level < 0:
            return getattr(self._holder(model), self.middle)  # type: ignore[no-any-return]
        return last_module(self._list(model, self.beside_up[-1] if self.beside_up else self.up)[level])

    def _shrink(self, model: nn.Module, slot: Slot, kept_down: int, first_up: int) -> Iterator[Swap]:
        down = {name: self._list(model, name)[:kept_down] for name in (self.down, *self.beside_down)}
        up = {name: self._list(model, name)[first_up:] for name in (self.up, *self.beside_up)}
        if self.both_ways:
            levels = self._list(model, self.both_ways)
            ups = levels[-len(up[self.up]) :]
            up[self.both_ways] = [*levels[:kept_down], nn.Identity(), nn.Identity(), *ups]
        if self.middle:
            yield swap_child(self._holder(model), self.middle, slot)
        elif isinstance(up[self.up][0], nn.ModuleList):
            # The forward pairs up level i with down level i from the inside, and the innermost up level takes
            # no skip connection: one more level on both sides, of which the down level is the slot.
            for name, levels in down.items():
                levels.append(nn.ModuleList([slot]) if name == self.down else nothing_like(levels[0]))
            for name in (self.up, *self.beside_up):
                up[name].insert(0, nothing_like(up[name][0]))
        else:
            up[self.up].insert(0, slot)  # an innermost up level, which takes no skip connection
        yield from self._last_downsampler(down[self.down][-1])
        for name, levels in (down | up).items():
            yield swap_child(self._holder(model), name, nn.ModuleList(levels))

    def _last_downsampler(self, level: nn.Module) -> Iterator[Swap]:
        """Where a level downsamples behind its skip connection, nothing is left to take it."""
        if isinstance(getattr(level, "downsample", None), nn.Module):
            yield swap_child(level, "downsample", None)


def is_table(level: nn.Module) -> bool:
    """Whether a level is a mere table of layers, which is never called itself."""
    return isinstance(level, nn.ModuleList | nn.ModuleDict)


def last_module(level: Any) -> nn.Module:
    return list(level.children())[-1] if is_table(level) else level  # type: ignore[no-any-return]


def nothing_like(level: nn.Module) -> nn.Module:
    """What runs no layer where `level` ran some."""
    return nn.ModuleList() if isinstance(level, nn.ModuleList) else nn.Identity()
