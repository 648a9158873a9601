"""The registry: later registrations override, modules count as a whole, any thread may look up first."""

import functools
import sys
from importlib.metadata import EntryPoint

import pytest
from torch import nn

from mmcache import Adapter, register
from mmcache.architectures import ENTRY_POINT_GROUP, registry
from mmcache.architectures.adapter import SideAdapter
from mmcache.layouts.controlnet import SideUNet
from mmcache.layouts.skip_unet import SkipUNet
from mmcache.testing.live_model_laws import in_threads
from tests import tiny

BUNDLED = "UNet2DConditionModel"


def named(name, *classes):
    return Adapter(name=name, denoisers=classes or (BUNDLED,), layout=SkipUNet())


def forget(patch):
    """A registry before its first look-up."""
    patch.setattr(registry, "_found", None)
    patch.setattr(registry, "_registered", registry.EMPTY)


@pytest.fixture
def fresh(monkeypatch):
    registry.adapters()
    forget(monkeypatch)
    return monkeypatch


@pytest.fixture
def package(fresh, tmp_path):
    """Writes modules and names them as entry points of installed packages."""
    fresh.syspath_prepend(tmp_path)
    entries = []
    fresh.setattr(registry, "entry_points", lambda group: entries)

    def write(module, text):
        head = "from mmcache.extend import Adapter, SkipUNet, register\n"
        (tmp_path / f"{module}.py").write_text(head + text)
        entries.append(EntryPoint(module, module, ENTRY_POINT_GROUP))

    yield write
    for entry in entries:
        sys.modules.pop(entry.name, None)


def line(name, *classes):
    return f"register(Adapter({name!r}, {classes!r}, SkipUNet()))\n"


def test_registered_before_the_first_look_up_it_overrides_a_bundled_adapter(fresh):
    count = len(registry.denoiser_names())
    forget(fresh)
    mine = register(named("mine"))
    assert registry.adapter_for(tiny.unet()) is mine
    assert len(registry.denoiser_names()) == count


def test_registered_afterwards_it_overrides_too_and_the_last_one_is_used(fresh):
    count = len(registry.denoiser_names())
    register(named("first"))
    last = register(named("last"))
    assert registry.adapter_for(tiny.unet()) is last
    assert len(registry.denoiser_names()) == count
    assert "first" not in {adapter.name for adapter in registry.adapters()}


def test_adapters_are_listed_with_the_classes_that_they_are_used_for(fresh):
    register(named("mine", "One", "Other"))
    register(named("his", "Other"))
    listed = {adapter.name: adapter.denoisers for adapter in registry.adapters()}
    assert listed["mine"] == ("One",)
    assert listed["his"] == ("Other",)


def test_side_adapters_override_likewise(fresh):
    mine = register(SideAdapter(name="mine", networks=("ControlNetModel",), layout=SideUNet()))
    assert registry.known().side_networks["ControlNetModel"] is mine
    register(SideAdapter(name="mine", networks=("ControlNetModel",), layout=SideUNet()))
    assert [side.name for side in registry.side_adapters()].count("mine") == 1


def test_a_bundled_module_that_fails_is_named_and_the_next_look_up_starts_again(fresh, tmp_path):
    wanted = registry.denoiser_names()
    forget(fresh)
    package = sys.modules["mmcache.adapters"]
    broken = tmp_path / "zzz_broken.py"
    broken.write_text("from mmcache import register\nraise KeyError('no such thing')\n")
    fresh.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    for _ in range(2):
        with pytest.raises(ImportError, match=r"mmcache\.adapters\.zzz_broken cannot be loaded: .*no such"):
            registry.adapter_for(nn.Linear(1, 1))
        assert registry._found is None
    broken.unlink()
    assert registry.denoiser_names() == wanted


def test_two_bundled_adapters_for_one_class_are_refused(fresh, tmp_path):
    package = sys.modules["mmcache.adapters"]
    (tmp_path / "zzz_double.py").write_text(
        f"from mmcache import Adapter, register\nregister(Adapter('double', ({BUNDLED!r},), None))\n"
    )
    fresh.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    with pytest.raises(
        ImportError, match=f"zzz_double cannot be loaded: adapter 'double' describes {BUNDLED}"
    ):
        registry.adapters()


def test_a_package_overrides_a_bundled_adapter_and_register_overrides_the_package(package):
    package("of_a_package", line("packaged", BUNDLED))
    assert registry.adapter_for(tiny.unet()).name == "packaged"
    register(named("mine"))
    assert registry.adapter_for(tiny.unet()).name == "mine"


def test_a_package_that_fails_is_named_and_counts_as_a_whole(package):
    package("half_a_package", line("half", "Half") + "raise OSError('disk')\n")
    package("whole_package", line("whole", "Whole"))
    with pytest.warns(UserWarning, match=r"adapter 'half_a_package' .* cannot be loaded: disk"):
        names = registry.denoiser_names()
    assert "Half" not in names
    assert {"Whole", BUNDLED} <= set(names)


def test_of_two_packages_for_one_class_the_second_by_name_is_left_out_with_a_warning(package):
    package("b_package", line("second", "Shared") + line("also second", "Own"))
    package("a_package", line("first", "Shared"))
    with pytest.warns(
        UserWarning, match=r"'b_package' .*describes Shared, as adapter 'first' does.*register"
    ):
        found = registry.known().denoisers
    assert found["Shared"].name == "first"
    assert "Own" not in found


def test_a_module_that_looks_something_up_while_it_is_imported_is_told_so(package):
    package("asking", "from mmcache.architectures.registry import adapters\nadapters()\n")
    with pytest.warns(UserWarning, match=r"'asking' .*cannot be looked up while"):
        assert BUNDLED in registry.denoiser_names()


def test_many_threads_may_make_the_first_look_up_and_register_meanwhile(fresh):
    wanted = registry.denoiser_names()
    forget(fresh)
    found = []

    def look(number):
        if number % 2:
            register(named(f"of thread {number}", f"OfThread{number}"))
        found.append(set(registry.denoiser_names()))

    in_threads([functools.partial(look, number) for number in range(8)])
    assert len(found) == 8
    assert all(set(wanted) <= names for names in found)
    assert {f"OfThread{number}" for number in (1, 3, 5, 7)} <= set(registry.denoiser_names())


def test_the_closest_known_class_is_named():
    class UNet2DConditionalModel(nn.Module):
        pass

    assert registry.closest_denoiser_name(UNet2DConditionalModel()) == BUNDLED
