"""Runs of many prompts over actors of a local Ray cluster; a custom resource stands in for a GPU."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mmcache
from tests import tiny_loads
from tests.fake_jobs import FakeJob, content_of, images

ray = pytest.importorskip("ray")

from mmcache.cli import app  # noqa: E402
from mmcache.tools.generating.items import ItemMaker, items_in  # noqa: E402
from mmcache.tools.generating.lines import LineSchema  # noqa: E402
from mmcache.tools.generating.prompts_file import write_lines  # noqa: E402
from mmcache.tools.generating.ray_pool import RayPool, RayStartError, address_for, connect  # noqa: E402
from mmcache.tools.generating.run import ManyRun, Workers, run_many  # noqa: E402
from tests.fake_jobs import Events, begun  # noqa: E402

ROOT = Path(__file__).parent.parent
RESOURCE = "slot"
SHORT = {"steps": 9, "guidance_scale": 3.0, "progress": False}


@pytest.fixture(scope="module")
def cluster():
    """Two slots; actors find the tests by their path."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    ray.init(
        address="local",
        num_cpus=4,
        resources={RESOURCE: 2},
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        object_store_memory=80_000_000,
    )
    yield
    ray.shutdown()
    os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


def run_on_ray(lines, tmp_path, *, workers=2, **job):
    path, out = tmp_path / "prompts.jsonl", tmp_path / "out"
    write_lines(lines, path)
    run = ManyRun(path, out, LineSchema(), {"model": "fake"})
    made = Workers(workers, lambda job: RayPool(job, RESOURCE, 1, own=False), own_process=False)
    events = Events()
    fake = FakeJob(out, tmp_path / "out.log", **job)
    result = run_many(run, lambda name: fake, lambda: made, events)
    items = items_in(path, ItemMaker(LineSchema(), 0, ""))
    return result, events, {f"{item.name}.png": content_of(item) for item in items}


def test_actors_make_the_same_files(cluster, tmp_path):
    result, events, expected = run_on_ray([f"prompt {n}" for n in range(12)], tmp_path, seconds=0.05)
    assert result.exit_code == 0
    assert images(result.out) == expected
    assert max(Counter(begun(result.out)).values()) == 1
    assert {about["worker"] for about in events.of("done")} == {0, 1}
    again, _, _ = run_on_ray([f"prompt {n}" for n in range(12)], tmp_path)
    assert again.nothing_to_do


def test_answers_may_come_in_any_order(cluster, tmp_path, monkeypatch):
    """Two quick calls of one actor are answered by two messages, of which the later may be the faster."""
    wait = ray.wait

    def last_first(references, num_returns, timeout):
        done, _ = wait(references, num_returns=len(references), timeout=5)
        return done[::-1][:num_returns], []

    monkeypatch.setattr(ray, "wait", last_first)
    result, _, expected = run_on_ray([f"prompt {n}" for n in range(12)], tmp_path)
    assert result.exit_code == 0
    assert images(result.out) == expected


def test_a_killed_actor_loses_nothing(cluster, tmp_path):
    lines = ["a", {"prompt": "die", "id": "bad"}, *(f"prompt {n}" for n in range(6))]
    result, events, expected = run_on_ray(lines, tmp_path)
    assert (result.done, result.failed, result.exit_code) == (7, 1, 1)
    assert images(result.out) == {name: data for name, data in expected.items() if name != "bad.png"}
    assert Counter(begun(result.out))["bad"] == 3
    assert len(events.of("worker_died")) == 3
    (error,) = map(json.loads, (result.out / "errors.jsonl").read_text().splitlines())
    assert "actor died" in error["reason"]


def test_an_error_that_stays_ends_the_actor(cluster, tmp_path):
    result, events, _ = run_on_ray([{"prompt": "break", "id": "bad"}, "a", "b"], tmp_path, workers=1)
    assert (result.done, result.failed) == (2, 1)
    assert "illegal memory access" in (result.out / "errors.jsonl").read_text()
    assert len(events.of("worker_died")) == 3


def test_pipelines_on_ray_give_the_bytes_of_one_process(cluster, tmp_path):
    prompts = ["a cat", {"prompt": "a dog", "id": "dog", "seed": 7}, "a bird"]
    plain = mmcache.generate(prompts, tmp_path / "plain", load=tiny_loads.load, **SHORT)
    spread = mmcache.generate(
        prompts, tmp_path / "ray", load=tiny_loads.load, ray="auto", ray_resource=RESOURCE, **SHORT
    )
    assert spread.exit_code == 0
    assert images(plain.out) == images(spread.out)
    assert ray.is_initialized(), "the caller's cluster is left alone"


def test_what_does_not_load_is_said(cluster, tmp_path):
    with pytest.raises(ValueError, match="there is no such model"):
        mmcache.generate(
            ["a"], tmp_path / "out", load=tiny_loads.missing, ray="auto", ray_resource=RESOURCE, **SHORT
        )


def test_a_cluster_that_does_not_start_is_said_in_one_line(cluster, folder, elsewhere, monkeypatch):
    def timed_out(**options):
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", timed_out)
    with pytest.raises(RayStartError, match="timed out"):
        connect("local", 1, None, 1)
    (elsewhere / "p.txt").write_text("a\n")
    done = CliRunner().invoke(
        app, ["generate", "--model", str(folder), "--prompts", "p.txt", "--ray", "auto"]
    )
    assert done.exit_code == 1
    assert "timed out" in done.stderr
    assert not (elsewhere / "mmcache-out" / "settings.json").exists()


def test_a_cluster_whose_head_was_killed_is_not_waited_for(monkeypatch):
    """It leaves its address behind."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as head:
        noted = f"127.0.0.1:{head.getsockname()[1]}"
        monkeypatch.setattr("ray._private.utils.read_ray_address", lambda: noted)
        assert address_for("auto") is None
    assert address_for("auto") == "local"
    assert address_for("10.0.0.1:6379") == "10.0.0.1:6379"


def test_the_number_of_workers_is_the_clusters(cluster):
    assert connect("auto", None, RESOURCE, 1) == (2, False)
    assert connect("auto", None, None, 2) == (2, False)
    with pytest.raises(ValueError, match="has nothing of 'tpu'"):
        connect("auto", None, "tpu", 1)


DRIVER = """
import sys, ray
from pathlib import Path
from mmcache.tools.generating.lines import LineSchema
from mmcache.tools.generating.ray_pool import RayPool, connect
from mmcache.tools.generating.run import ManyRun, Workers, run_many
from tests.fake_jobs import Events, FakeJob

prompts, out = map(Path, sys.argv[1:])
run = ManyRun(prompts, out, LineSchema(), {"model": "fake"})

def engine():
    cluster = connect("local", 2, None, 1)
    return Workers(2, lambda job: RayPool(job, None, 1, own=cluster.own), own_process=False)

fake = FakeJob(out, out.with_name("out.log"), seconds=0.1)
sys.exit(run_many(run, lambda name: fake, engine, Events()).exit_code)
"""


@pytest.mark.parametrize("one", [signal.SIGTERM, signal.SIGKILL])
def test_a_driver_that_is_ended_takes_its_actors_along_and_the_next_goes_on(one, tmp_path):
    path, out = tmp_path / "prompts.jsonl", tmp_path / "out"
    write_lines((f"prompt {n}" for n in range(60)), path)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DRIVER, str(path), str(out)]
    driver = subprocess.Popen(command, env=environment, cwd=ROOT)
    until = time.monotonic() + 60
    while len(images(out)) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    driver.send_signal(one)
    started = time.monotonic()
    code = driver.wait(20)
    if one == signal.SIGTERM:
        assert code == 143
        assert time.monotonic() - started < 10
    time.sleep(1.5)  # Ray notices that the driver is gone
    settled = images(out)
    time.sleep(0.5)
    assert images(out) == settled, "no actor is left"
    assert 3 <= len(settled) < 60
    assert subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode == 0
    items = items_in(path, ItemMaker(LineSchema(), 0, ""))
    assert images(out) == {f"{item.name}.png": content_of(item) for item in items}


def test_a_lost_machine_is_nobodys_fault():
    from mmcache.tools.generating.ray_pool import machine_is_gone

    class Gone(Exception):
        preempted = True

    assert machine_is_gone(Gone())
    assert machine_is_gone(Exception("The actor died because its node has died. Node Id: 11a5"))
    assert not machine_is_gone(Exception("The actor died unexpectedly before finishing this task."))


NODES = """
import signal, sys, threading, time, ray
from pathlib import Path
from ray.cluster_utils import Cluster
from mmcache.tools.generating.lines import LineSchema
from mmcache.tools.generating.ray_pool import RayPool
from mmcache.tools.generating.run import ManyRun, Workers, run_many
from tests.fake_jobs import Events, FakeJob

prompts, out = map(Path, sys.argv[1:])
node = {"num_cpus": 1, "object_store_memory": 80_000_000}
cluster = Cluster(initialize_head=True, head_node_args=node)
nodes = [cluster.add_node(**node, resources={"slot": 1}) for _ in range(2)]
ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
events = Events()

def listen(event, **about):
    events(event, **about)
    if len(events.of("done")) == 4 and event == "done":
        threading.Thread(target=cluster.remove_node, args=(nodes[0],), daemon=True).start()

made = Workers(2, lambda job: RayPool(job, "slot", 1, own=False), own_process=False)
fake = FakeJob(out, out.with_name("out.log"), seconds=0.2)
result = run_many(ManyRun(prompts, out, LineSchema(), {"m": 1}), lambda name: fake, lambda: made, listen)
assert result.exit_code == 0, result
(death,) = events.of("worker_died")
assert not death["retired"]
"""


def test_a_lost_machine_loses_nothing(tmp_path):
    path, out = tmp_path / "prompts.jsonl", tmp_path / "out"
    write_lines((f"prompt {n}" for n in range(40)), path)
    command = [sys.executable, "-c", NODES, str(path), str(out)]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    items = items_in(path, ItemMaker(LineSchema(), 0, ""))
    assert images(out) == {f"{item.name}.png": content_of(item) for item in items}
