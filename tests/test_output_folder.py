"""Files are written as a set: whoever is killed or writes beside it, a folder has the files of one run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcache.tools.media import output_folder
from mmcache.tools.media.output_folder import check_output, finish_writing, write_files

NAMES = ("full.png", "cached.png", "report.json", "pictures/one.png")
# Writes sets without end, each file of a set with the same number in it.
WRITER = """
import sys
from pathlib import Path
from mmcache.tools.media.output_folder import write_files
for number in range(int(sys.argv[2]), 10**9, 2):
    write_files(Path(sys.argv[1]), {name: str(number).encode() * 2000 for name in sys.argv[3:]})
    print(number, flush=True)
"""


def numbers(folder):
    """Of the files that are there: to which set each belongs."""
    found = [folder / name for name in NAMES]
    return [path.read_bytes() for path in found if path.exists()]


def writer(folder, first=0):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first), *NAMES], stdout=subprocess.PIPE
    )


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a system without SIGKILL")
def test_a_kill_leaves_one_set_whole(tmp_path):
    for attempt in range(8):
        process = writer(tmp_path)
        process.stdout.readline()
        time.sleep(0.003 * attempt)
        process.kill()
        process.wait()
        assert len(set(numbers(tmp_path))) <= 1, "files of two runs"
        check_output(tmp_path, NAMES)
        assert len(numbers(tmp_path)) == len(NAMES)
        assert len(set(numbers(tmp_path))) == 1
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*NAMES[:3], "pictures"])


def steps_of_a_writing():
    """Every change of the file system that a writing makes, by the functions that make it."""
    return [(os, "mkdir"), (os, "replace"), (os, "unlink"), (os, "rmdir")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@settings(max_examples=15, deadline=None)
@given(at=st.integers(0, 24), again=st.integers(0, 24))
def test_a_kill_before_any_change_of_the_file_system_leaves_no_mixture(at, again, tmp_path_factory):
    """In a process of its own, since a killed one undoes nothing."""
    folder = tmp_path_factory.mktemp("out")
    write_files(folder, dict.fromkeys(NAMES, b"old"))
    for count, content in ((at, b"new"), (again, b"newer")):
        child = os.fork()
        if child == 0:
            killed_at(count)
            write_files(folder, dict.fromkeys(NAMES, content))
            os._exit(0)
        os.waitpid(child, 0)
        assert len(set(numbers(folder))) <= 1
    finish_writing(folder)
    assert len(numbers(folder)) == len(NAMES)
    assert len(set(numbers(folder))) == 1
    assert sorted(path.name for path in folder.iterdir()) == sorted([*NAMES[:3], "pictures"])


def killed_at(count):
    """Kill this process instead of its change number `count`."""
    left = [count]

    def watched(change):
        def instead(*args, **options):
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return change(*args, **options)

        return instead

    for module, name in steps_of_a_writing():
        setattr(module, name, watched(getattr(module, name)))


@pytest.mark.skipif(output_folder.fcntl is None, reason="a system without locks of folders")
def test_two_writers_side_by_side_never_mix(tmp_path):
    both = [writer(tmp_path, first) for first in (0, 1)]
    for _ in range(20):
        for process in both:
            process.stdout.readline()
    for process in both:
        process.kill()
        process.wait()
    finish_writing(tmp_path)
    assert len(numbers(tmp_path)) == len(NAMES)
    assert len(set(numbers(tmp_path))) == 1


def test_what_cannot_be_written_changes_nothing(tmp_path, monkeypatch):
    write_files(tmp_path, {"full.png": b"old"})
    (tmp_path / "cached.png").mkdir()
    with pytest.raises(OSError, match=r"cached\.png"):
        write_files(tmp_path, {"full.png": b"new", "cached.png": b"new"})
    assert (tmp_path / "full.png").read_bytes() == b"old"

    def full_disk(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_files(tmp_path, {"full.png": b"new"})
    assert (tmp_path / "full.png").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cached.png", "full.png"]


def test_other_files_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    write_files(tmp_path, {"full.png": b"1"})
    write_files(tmp_path, {"full.png": b"2"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "notes.txt": "mine",
        "full.png": "2",
    }
