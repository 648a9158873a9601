"""Runs of many prompts: exactly once, resumable, whatever dies. Workers without a model, real processes."""

import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from mmcache.tools.generating.drive import GRACE
from mmcache.tools.generating.items import ItemMaker, items_in
from mmcache.tools.generating.lines import LineSchema
from mmcache.tools.generating.prompts_file import write_lines
from mmcache.tools.generating.run_settings import OtherSettingsError, claim_folder
from mmcache.tools.generating.stop_signals import stop_signals
from mmcache.tools.generating.store import PART, Store, part_name
from mmcache.tools.generating.survey import Shard
from mmcache.tools.generating.work_source import WorkSource
from tests.fake_jobs import REPORT, Events, begun, content_of, images, run_fake

ROOT = Path(__file__).parent.parent


@pytest.fixture
def prompts(tmp_path):
    """Writes prompts into a file."""

    def write(*lines):
        path = tmp_path / "prompts.jsonl"
        write_lines(lines, path)
        return path

    return write


def expected(path):
    """The images of an undisturbed run: a function of the lines."""
    items = items_in(path, ItemMaker(LineSchema(), 0, ""))
    return {f"{item.name}.png": content_of(item) for item in items}


def leftovers(out):
    return [path.name for path in out.iterdir() if path.name.endswith(PART)]


def check_whole(path, out):
    """Every image is there, equal, with a sidecar; nothing else is."""
    assert images(out) == expected(path)
    assert {file.stem for file in out.glob("*.json")} >= {name[:-4] for name in images(out)}
    assert not leftovers(out)


@pytest.mark.parametrize("workers", [None, 1, 2, 3])
def test_the_same_files_whoever_makes_them(workers, prompts, tmp_path):
    path = prompts(*(f"prompt {n}" for n in range(8)), {"prompt": "x", "id": "own", "seed": 5})
    out = tmp_path / "out"
    result = run_fake(path, out, workers)
    assert (result.total, result.done, result.were_there, result.failed, result.exit_code) == (9, 9, 0, 0, 0)
    check_whole(path, out)
    assert "own.png" in images(out)
    assert max(Counter(begun(out)).values()) == 1


@pytest.mark.parametrize("count", [2, 5])
def test_shards_fill_one_folder_in_any_order(count, prompts, tmp_path):
    path = prompts(*(f"prompt {n}" for n in range(9)))
    out = tmp_path / "out"
    for index in reversed(range(count)):
        assert run_fake(path, out, None, shard=Shard(index, count)).exit_code == 0
        assert (out / f"summary-{index}-of-{count}.json").exists()
    check_whole(path, out)
    assert max(Counter(begun(out)).values()) == 1
    assert run_fake(path, out, None).nothing_to_do


@pytest.mark.parametrize("first", [0, 2])
def test_a_shard_without_a_line_is_done_whoever_comes_first(first, prompts, tmp_path):
    """A launcher may start more of them than there are prompts."""
    path, out = prompts("a", "b"), tmp_path / "new" / "out"
    for index in (first, 2 - first, 1):
        assert run_fake(path, out, None, shard=Shard(index, 3)).exit_code == 0
    assert images(out) == expected(path)
    assert json.loads((out / "summary-2-of-3.json").read_text())["total"] == 0


def test_a_finished_run_does_nothing_again_and_says_so(prompts, tmp_path):
    path = prompts("a", "b")
    out = tmp_path / "out"
    run_fake(path, out, None)
    before = {file: file.stat().st_mtime_ns for file in out.iterdir()}
    again = run_fake(path, out, None)
    assert again.nothing_to_do
    assert "nothing to do: all 2 images" in str(again)
    assert {file: file.stat().st_mtime_ns for file in out.iterdir()} == before


@pytest.mark.parametrize("damage", ["no image", "no sidecar", "cut image", "cut sidecar", "empty sidecar"])
def test_what_is_not_whole_is_made_again(damage, prompts, tmp_path):
    path = prompts({"prompt": "a", "id": "a"}, {"prompt": "b", "id": "b"})
    out = tmp_path / "out"
    run_fake(path, out, None)
    what, kind = damage.split()
    file = out / ("a.png" if kind == "image" else "a.json")
    if what == "no":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:10] if what == "cut" else b"")
    assert run_fake(path, out, None).were_there == 1
    assert begun(out) == ["a", "b", "a"]
    check_whole(path, out)


def test_more_lines_later_are_added(prompts, tmp_path):
    out = tmp_path / "out"
    run_fake(prompts("a", "b"), out, None)
    path = prompts("a", "b", "c")
    assert run_fake(path, out, None).were_there == 2
    check_whole(path, out)


def test_other_settings_are_refused_unless_they_may_overwrite(prompts, tmp_path):
    path = prompts({"prompt": "a", "id": "a"})
    out = tmp_path / "out"
    run_fake(path, out, None, settings={"model": "one", "steps": 50})
    with pytest.raises(OtherSettingsError, match="steps: 50 there, 25 now"):
        run_fake(path, out, None, settings={"model": "one", "steps": 25})
    assert begun(out) == ["a"]
    then, now = ({"evidence": str(first), "first": first} for first in (1, 2))
    run_fake(path, tmp_path / "nested", None, settings={"plan": then})
    with pytest.raises(OtherSettingsError, match=r"plan\.first: 1 there, 2 now"):
        run_fake(path, tmp_path / "nested", None, settings={"plan": now})
    result = run_fake(path, out, None, settings={"model": "one", "steps": 25}, overwrite=True)
    assert (result.were_there, result.done) == (0, 1)
    assert run_fake(path, out, None, settings={"model": "one", "steps": 25}).nothing_to_do


def test_another_line_of_the_same_id_is_refused(prompts, tmp_path):
    out = tmp_path / "out"
    run_fake(prompts({"prompt": "a", "id": "a"}), out, None)
    path = prompts({"prompt": "changed", "id": "a"})
    with pytest.raises(ValueError, match="made from another line"):
        run_fake(path, out, None)
    run_fake(path, out, None, overwrite=True)
    check_whole(path, out)


def test_a_file_of_somebody_else_is_not_replaced(prompts, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "cat.png").write_bytes(b"my cat")
    with pytest.raises(ValueError, match="mmcache did not write it"):
        run_fake(prompts({"prompt": "a", "id": "cat"}), out, None)
    assert [file.name for file in out.iterdir()] == ["cat.png"]


def test_the_first_of_two_drivers_settles_the_settings(tmp_path):
    """They may claim a folder at the same moment."""
    results = []

    def claim(steps):
        try:
            results.append((steps, claim_folder(tmp_path, {"steps": steps}, overwrite=False)))
        except OtherSettingsError:
            results.append((steps, None))

    threads = [threading.Thread(target=claim, args=(steps,)) for steps in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [steps for steps, made in results if made]
    assert json.loads((tmp_path / "settings.json").read_text()) == {"steps": winner}
    assert not leftovers(tmp_path)


def test_two_drivers_on_one_folder(prompts, tmp_path):
    path = prompts(*(f"prompt {n}" for n in range(30)))
    out = tmp_path / "out"
    drivers = [start_driver(path, out, 2, 0.02) for _ in range(2)]
    assert [driver.wait(60) for driver in drivers] == [0, 0]
    check_whole(path, out)


def test_a_killed_worker_loses_nothing(prompts, tmp_path):
    """The item goes to another worker, three times at most; the rest goes on."""
    path = prompts("a", {"prompt": "die", "id": "bad"}, *(f"prompt {n}" for n in range(6)))
    out = tmp_path / "out"
    events = Events()
    result = run_fake(path, out, 2, listener=events)
    assert (result.done, result.failed, result.left, result.exit_code) == (7, 1, 0, 1)
    assert images(out) == {name: data for name, data in expected(path).items() if name != "bad.png"}
    (error,) = [json.loads(line) for line in (out / "errors.jsonl").read_text().splitlines()]
    assert (error["id"], error["line"], error["tries"]) == ("bad", 2, 3)
    assert "SIGKILL" in error["reason"]
    assert Counter(begun(out))["bad"] == 3
    assert len({about["worker"] for about in events.of("worker_died")}) == 2, "it was tried elsewhere"
    assert not any(about["retired"] for about in events.of("worker_died")), "the item was to blame"


def test_a_batch_that_kills_its_worker_is_halved_until_the_cause_is_alone(prompts, tmp_path):
    path = prompts(*(f"prompt {n}" for n in range(5)), {"prompt": "die", "id": "bad"}, "x", "y")
    out = tmp_path / "out"
    result = run_fake(path, out, 2, batch=8)
    assert (result.done, result.failed, result.left) == (7, 1, 0)
    assert images(out) == {name: data for name, data in expected(path).items() if name != "bad.png"}
    assert max(count for name, count in Counter(begun(out)).items() if name != "bad") == 1


def test_an_error_that_stays_ends_the_worker(prompts, tmp_path):
    path = prompts({"prompt": "break", "id": "bad"}, "a", "b")
    out = tmp_path / "out"
    events = Events()
    result = run_fake(path, out, 1, listener=events)
    assert (result.done, result.failed) == (2, 1)
    assert len(events.of("worker_died")) == 3
    assert "illegal memory access" in (out / "errors.jsonl").read_text()


def test_what_cannot_succeed_is_tried_once_and_what_may_thrice(prompts, tmp_path):
    path = prompts({"prompt": "refuse", "id": "r"}, {"prompt": "memory", "id": "m"}, "a")
    out = tmp_path / "out"
    result = run_fake(path, out, 2)
    assert (result.done, result.failed) == (1, 2)
    assert Counter(begun(out))["r"] == 1
    assert Counter(begun(out))["m"] == 3
    again = run_fake(path, out, 2)
    assert (again.were_there, again.failed) == (1, 2), "what failed is tried again by the next run"
    assert len((out / "errors.jsonl").read_text().splitlines()) == 2


def test_a_worker_that_dies_of_everything_is_not_started_again(prompts, tmp_path):
    path = prompts(*(f"prompt {n}" for n in range(40)))
    out = tmp_path / "out"
    events = Events()
    result = run_fake(path, out, 2, listener=events, dies_in=("0",), waits_for=3)
    assert result.exit_code == 0
    check_whole(path, out)
    deaths = events.of("worker_died")
    assert [about["worker"] for about in deaths] == [0, 0, 0]
    assert [about["retired"] for about in deaths] == [False, False, True]


def test_without_any_worker_left_the_run_ends_and_can_go_on(prompts, tmp_path):
    path = prompts(*(f"prompt {n}" for n in range(25)))
    out = tmp_path / "out"
    result = run_fake(path, out, 2, dies_in=("0", "1"))
    assert result.exit_code == 1
    assert result.done == 0
    assert result.left + result.failed == 25
    assert result.left > 0
    assert "are left" in str(result)
    assert run_fake(path, out, 1).exit_code == 0
    check_whole(path, out)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_cannot_be_loaded_by_anyone_is_raised_and_nothing_hangs(workers, prompts, tmp_path):
    with pytest.raises(ValueError, match="there is no such model"):
        run_fake(prompts("a"), tmp_path / "out", workers, fails=ValueError("there is no such model"))


def test_what_may_be_loaded_later_is_tried_thrice(prompts, tmp_path):
    events = Events()
    fails = RuntimeError("CUDA out of memory")
    result = run_fake(prompts("a"), tmp_path / "out", 1, listener=events, fails=fails)
    assert (result.done, result.left, result.exit_code) == (0, 1, 1)
    assert [about["retired"] for about in events.of("worker_died")] == [False, False, True]


def start_driver(*given):
    command = [sys.executable, "-m", "tests.fake_driver", *map(str, given)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)


def workers_of(process):
    """The processes that a driver started, its resource tracker left out."""
    listed = Path(f"/proc/{process}/task/{process}/children")
    if not listed.exists():
        pytest.skip("the processes of a process are listed by Linux only")
    children = [int(word) for word in listed.read_text().split()]
    return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def wait_for_images(out, count, driver):
    until = time.monotonic() + 30
    while len(list(out.glob("*.json"))) < count and driver.poll() is None and time.monotonic() < until:
        time.sleep(0.02)


def gone(process):
    try:
        return "zombie" in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return True


def wait_until(condition, seconds=10):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    assert condition()


@pytest.mark.parametrize("one", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_signal_ends_the_run_cleanly(one, workers, prompts, tmp_path):
    path = prompts(*(f"prompt {n}" for n in range(200)))
    out = tmp_path / "out"
    driver = start_driver(path, out, workers, 0.1)
    wait_for_images(out, 3, driver)
    processes = workers_of(driver.pid) if workers else []
    assert len(processes) == workers
    os.killpg(driver.pid, one)  # as a terminal or Slurm does, the workers too
    started = time.monotonic()
    assert driver.wait(12) == 128 + one
    assert time.monotonic() - started < 10
    wait_until(lambda: all(gone(process) for process in processes))
    assert not leftovers(out)
    for name in images(out):
        assert (out / f"{name[:-4]}.json").exists()
    summary = json.loads((out / "summary.json").read_text())
    assert summary["done"] == len(images(out))
    assert summary["left"] == 200 - summary["done"]
    assert not summary["complete"]


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_signals(at_once=True) as stop:
            signal.raise_signal(signal.SIGINT)
        assert not stop.asked
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_drops_an_item_that_takes_too_long(prompts, tmp_path):
    path = prompts("a", "long way", "b")
    out = tmp_path / "out"
    assert 5 <= GRACE <= 9, "of the ten seconds that Slurm or a container gives"
    driver = start_driver(path, out, 1, 0, 0.5)
    wait_for_images(out, 2, driver)  # settings and the first
    driver.send_signal(signal.SIGTERM)
    started = time.monotonic()
    assert driver.wait(60) == 143
    assert time.monotonic() - started < 30, "the item takes a minute"
    assert set(images(out)) <= set(expected(path))


def test_workers_end_with_a_killed_driver_and_the_next_one_goes_on(prompts, tmp_path):
    path = prompts(*(f"prompt {n}" for n in range(30)))
    out = tmp_path / "out"
    driver = start_driver(path, out, 2, 0.05)
    wait_for_images(out, 5, driver)
    processes = workers_of(driver.pid)
    driver.kill()
    driver.wait()
    wait_until(lambda: all(gone(process) for process in processes))
    before = len(images(out))
    assert 0 < before < 30
    result = run_fake(path, out, 2)
    assert result.exit_code == 0
    assert result.were_there >= before - 2
    check_whole(path, out)


def test_kills_at_random(prompts, tmp_path):
    """Workers and drivers are killed until everything is there: nothing is lost, nothing is there twice."""
    path = prompts(*(f"prompt {n}" for n in range(60)))
    out = tmp_path / "out"
    chance = random.Random(0)
    driver, kills = start_driver(path, out, 2, 0.03), 0
    while driver.poll() is None or driver.returncode != 0:
        if driver.poll() is not None:
            driver = start_driver(path, out, 2, 0.03)
        if kills < 6:
            wait_for_images(out, 2 + kills * 6, driver)
            victims = [driver.pid, *workers_of(driver.pid)] if driver.poll() is None else []
            if victims:
                os.kill(chance.choice(victims), signal.SIGKILL)
                kills += 1
        time.sleep(0.05)
    assert kills == 6
    check_whole(path, out)
    assert json.loads((out / "summary.json").read_text())["complete"]


def test_the_summary_adds_up_all_reports(prompts, tmp_path):
    path = prompts(*(f"prompt {n}" for n in range(5)))
    out = tmp_path / "out"
    run_fake(path, out, None, shard=Shard(0, 2))
    run_fake(path, out, 2)
    reports = json.loads((out / "summary.json").read_text())["reports"]
    assert reports["full_steps"] == 5 * REPORT["full_steps"]
    assert reports["cached_steps"] == 5 * REPORT["cached_steps"]
    assert reports["macs_saved"] == 5 * (REPORT["full_macs"] - REPORT["macs"])
    assert reports["seconds"] == 5 * REPORT["seconds"]
    assert reports["bytes_held"] == REPORT["bytes_held"]
    assert reports["bytes_written"] == sum(map(len, images(out).values()))


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "lines"), [(Terminal, True), (io.StringIO, False)])
def test_one_line_on_a_terminal_and_none_elsewhere(stream, lines, monkeypatch):
    from mmcache.tools.generating.progress import ProgressLine

    written = stream()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "30")
    tell = ProgressLine()
    tell("start", total=5, done=1, workers=2)
    for worker in (0, 1, 1):
        time.sleep(0.12)  # the line is not written more often
        tell("done", worker=worker, id="a")
    tell("failed", line=5, id="e", reason="too large")
    tell("note", text="few steps")
    tell("note", text="few steps")
    tell("end")
    text = written.getvalue()
    assert text.count("note: few steps") == 1
    assert (text == "note: few steps\n") is not lines
    if lines:
        assert "4/5" in text
        assert "img/s" in text
        assert "1 failed, workers 0:1 1:2" in text
        assert "failed: line 5 (e): too large" in text


def test_the_driver_reads_only_what_it_hands_out(prompts, tmp_path):
    path = prompts(*({"prompt": f"prompt {n}", "height": n % 3 + 1} for n in range(1000)))
    read = []

    def items():
        for item in items_in(path, ItemMaker(LineSchema(), 0, "")):
            read.append(item)
            yield item

    source = WorkSource(items(), 4, lambda item: None, lambda item, sidecar: None)
    batches = source.batches()
    first = next(batches)
    assert len(first) == 4
    assert len({item.shape for item in first}) == 1
    assert len(read) <= 12
    assert sorted(item.number for batch in (first, *batches) for item in batch) == list(range(1, 1001))


def test_a_worker_has_one_in_work_and_one_waiting(prompts, tmp_path):
    from mmcache.tools.generating.drive import Callbacks, Driver
    from mmcache.tools.generating.outcomes import Finished, Outcome, Ready
    from mmcache.tools.generating.stop_signals import Stop

    most = []

    class Pool:
        def __init__(self):
            self.waiting = {0: [], 1: []}
            self.news = []

        def start(self, slot):
            self.news.append(Ready(slot))

        def send(self, slot, batches):
            self.waiting[slot].append(batches)
            most.append(len(self.waiting[slot]))

        def events(self, timeout):
            news, self.news = self.news, []
            if news:
                return news
            time.sleep(0.01)  # a slow item: each message carries one
            slot = 0 if len(self.waiting[0]) >= len(self.waiting[1]) else 1
            (batch,) = self.waiting[slot].pop(0)
            return [Finished(slot, [Outcome(item.name, {}) for item in batch])]

        def close(self, grace):
            return []

    items = items_in(prompts(*map(str, range(20))), ItemMaker(LineSchema(), 0, ""))
    done = []
    callbacks = Callbacks(
        lambda item: None, lambda slot, item, report: done.append(item), None, lambda *a, **k: None
    )
    assert Driver(((item,) for item in items), Pool(), 2, callbacks, Stop()).run()
    assert len(done) == 20
    assert max(most) == 2


def test_leftovers_of_dead_processes_are_removed_and_those_of_living_ones_are_not(tmp_path):
    machine = socket.gethostname().replace(".", "-")

    def leftover(process, of=machine):
        path = tmp_path / f".a.png.{of}.{process}{PART}"
        path.touch()
        return path.name

    ended, zombie = (subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) for _ in range(2))
    zombie.stdout.read()
    wait_until(lambda: gone(zombie.pid))  # nobody waited for it yet
    ended.wait()
    for process in (ended.pid, zombie.pid):
        leftover(process)
    kept = {leftover(os.getppid()), leftover(os.getpid()), leftover(ended.pid, "other")}
    (tmp_path / ".mine").touch()
    Store(tmp_path).clean()
    zombie.wait()
    assert {path.name for path in tmp_path.iterdir()} == kept | {".mine"}


def test_a_restarted_container_removes_what_the_same_process_number_left(tmp_path):
    """Its process has the machine's name and the number of the one before."""
    store = Store(tmp_path)
    left, of_now = tmp_path / part_name("a.png"), tmp_path / part_name("b.png")
    for path in (left, of_now):
        path.touch()
    os.utime(left, (0, psutil.Process().create_time() - 5))
    store.clean()
    assert list(tmp_path.iterdir()) == [of_now]


def test_a_run_with_nothing_to_do_removes_leftovers_too(prompts, tmp_path):
    path, out = prompts("a"), tmp_path / "out"
    run_fake(path, out, None)
    left = out / part_name("a.png")
    left.touch()
    os.utime(left, (0, 0))
    assert run_fake(path, out, None).nothing_to_do
    assert not left.exists()
