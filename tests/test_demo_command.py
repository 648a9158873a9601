"""The demo's command: its options, what is looked at before it starts, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from mmcache.cli import app
from mmcache_demos.app.lifetime import ALIVE, PREFIX, own_folder
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.models import Offer
from mmcache_demos.app.start_checks import check_address
from mmcache_demos.app.watching import Stopped
from tests.demo_orders import NO_BOARD, TAB, asked, tiny_service, visitor

pytest.importorskip("gradio")


def run(*arguments):
    return CliRunner().invoke(app, ["demo", *arguments])


@pytest.fixture
def launched(monkeypatch):
    """What would be served."""
    found = []
    monkeypatch.setattr("mmcache_demos.app.server.launch", found.append)
    return found


def test_by_default_it_serves_this_machine_alone(launched):
    assert run().exit_code == 0
    (server,) = launched
    assert (server.host, server.share, server.auth, server.limits) == ("127.0.0.1", False, None, Limits())
    assert not server.offer.typed


def test_every_option_arrives(launched):
    given = ["--model", "a/b", "--model", "c/d", "--allow-model-choice", "--controlnet", "e/f"]
    given += ["--host", "0.0.0.0", "--port", "8000", "--share", "--auth", "me:it:is"]
    given += ["--max-steps", "9", "--max-upload", "0.5", "--threads", "1", "--plan", "mine.yaml"]
    assert run(*given).exit_code == 0
    (server,) = launched
    assert server.offer == Offer(("a/b", "c/d"), True, {"controlnet": "e/f"})
    assert (server.host, server.port, server.share, server.auth) == ("0.0.0.0", 8000, True, ("me", "it:is"))
    assert (server.limits.steps, server.limits.upload_bytes, server.threads) == (9, 2**19, 1)
    assert list(server.plans) == ["mine"]


@pytest.mark.parametrize(
    ("words", "given"),
    [("wanted USER:PASSWORD", ["--auth", "me"]), ("Limits(steps=0)", ["--max-steps", "0"])],
)
def test_bad_options_are_one_line(words, given, launched):
    done = run(*given)
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not launched


def test_without_gradio_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    done = run()
    assert done.exit_code == 2
    assert 'pip install "mmcache-demos[app]"' in done.stderr


@pytest.mark.parametrize("host", ["256.1.2.3", "203.0.113.7", "no.such.host.invalid", "", "a" * 300])
def test_a_bad_host_is_one_line_and_soon(host):
    began = time.monotonic()
    done = run("--host", host) if host else run("--host=")
    assert done.exit_code == 2
    assert time.monotonic() - began < 60, "without the load of a busy machine it takes five seconds at most"
    assert len(done.stderr.splitlines()) == 1


def test_a_port_that_is_taken_is_said():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="choose another with --port"):
            check_address("127.0.0.1", other.getsockname()[1])


def test_a_model_that_is_missing_fails_at_the_start(tmp_path):
    done = run("--model", str(tmp_path / "nowhere"))
    assert done.exit_code == 2
    assert "nowhere" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_folders_of_dead_servers_are_swept_and_those_of_living_ones_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("dead", "living", "beginning", "old"):
        (tmp_path / f"{PREFIX}{name}").mkdir()
        (tmp_path / f"{PREFIX}{name}" / "full.png").touch()
    for name in ("dead", "living"):
        (tmp_path / f"{PREFIX}{name}" / ALIVE).touch()
    os.utime(tmp_path / f"{PREFIX}old", (0, 0))
    (tmp_path / "somebody-else").mkdir()
    with FileLock(tmp_path / f"{PREFIX}living" / ALIVE), own_folder() as own:
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"{PREFIX}living", f"{PREFIX}beginning", "somebody-else", own.name}
    assert not own.exists()


SERVES = """
import threading
from mmcache_demos.app.lifetime import ended_by_sigterm, own_folder
try:
    with ended_by_sigterm(), own_folder() as folder:
        (folder / "full.png").touch()
        print(folder, flush=True)
        threading.Event().wait()
except KeyboardInterrupt:
    print("ended", flush=True)
"""


def test_sigterm_ends_a_server_whose_sigint_is_ignored(tmp_path):
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + SERVES
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", ignoring], stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert PREFIX in server.stdout.readline()
        assert list(tmp_path.iterdir())
        server.send_signal(signal.SIGINT)
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
        assert server.stdout.read() == "ended\n"
    assert not list(tmp_path.iterdir())


LAUNCHES = """
from mmcache_demos.app.server import Server, launch
launch(Server(threads=1))
"""


def test_a_server_that_ends_at_once_leaves_no_thread_in_torch(tmp_path):
    """It is preparing for visitors then; under such a thread the interpreter would abort."""
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCHES],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    ) as server:
        assert "The demo is at" in server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=120)
        assert server.returncode == 0, said
        assert "terminate" not in said
    assert not list(tmp_path.glob(f"{PREFIX}*"))


def test_a_server_ends_the_runs_of_all_visitors_and_waits_for_them(tmp_path, monkeypatch):
    service = tiny_service(tmp_path, monkeypatch)
    begun = threading.Event()
    ends = []

    def compare():
        try:
            with closing(service.compare(visitor(), TAB, asked(steps=1000), NO_BOARD, ())) as news:
                for _ in news:
                    begun.set()
        except Stopped:
            ends.append(service.models.running.locked())

    one = threading.Thread(target=compare)
    one.start()
    assert begun.wait(60)
    service.end(patience=60)
    assert service.at_rest
    one.join(60)
    assert ends == [False]
    service.models.running.acquire()
    service.end(patience=0)
    assert not service.at_rest
