"""Twenty kills over two hundred images: minutes long."""

import sys

import pytest

from mmcache_demos.benchmarks.random_kills import Outcome, compare, random_kills
from tests.tiny_prompted import prompted


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the processes of a process are listed by Linux only")
@pytest.mark.parametrize("ray", [False, True])
def test_nothing_is_lost_twice_or_different(ray, tmp_path):
    if ray:
        pytest.importorskip("ray")
    prompted().save_pretrained(tmp_path / "model")
    (tmp_path / "run").mkdir()
    found = random_kills(tmp_path / "run", 200, 20, 2, ray=ray, model=str(tmp_path / "model"))
    assert sum(found.kills.values()) == 20
    assert found.whole, found


def test_the_comparison_sees_what_is_wrong(tmp_path):
    plain, disturbed = tmp_path / "plain", tmp_path / "disturbed"
    for folder in (plain, disturbed):
        folder.mkdir()
        for name in "abc":
            (folder / f"{name}.png").write_bytes(name.encode())
            (folder / f"{name}.json").touch()
    fine = Outcome()
    compare(plain, disturbed, fine)
    assert fine.whole
    (disturbed / "a.png").write_bytes(b"other")
    (disturbed / "b.json").unlink()
    (disturbed / "d.png").touch()
    (disturbed / ".e.png.machine.1.part").touch()
    found = Outcome()
    compare(plain, disturbed, found)
    assert (found.different, found.missing, found.repeated) == (["a.png"], ["b.png"], ["d.png"])
    assert len(found.leftovers) == 1
