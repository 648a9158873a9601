"""The demo among strangers: limits hold on every way in, and nothing of the machine is told."""

import io
import json
import re
import resource
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mmcache_demos.app.allowances import LogIns
from mmcache_demos.app.demo_tabs import DRAWING_TABS
from mmcache_demos.app.limits import LimitError, Limits
from mmcache_demos.app.link import read_query
from mmcache_demos.app.server import Server, serving
from mmcache_demos.app.settings import MINIATURE, NAMES
from mmcache_demos.app.visits import Visits

pytest.importorskip("gradio")
httpx = pytest.importorskip("httpx")

# Requests of strangers, each over a connection of its own; the machine's certificates are read for none.
get, post, stream = (partial(call, verify=False) for call in (httpx.get, httpx.post, httpx.stream))

WAITING, SECONDS = 3, 2
LIMITS = Limits(waiting=WAITING, request_seconds=SECONDS, order_seconds=1, visitor_bytes=20 * 2**20)
SIDE = 5600  # of a white picture that a few kilobytes hold


@pytest.fixture(scope="module")
def address():
    with serving(Server(limits=LIMITS, threads=1)) as address:
        yield address


@pytest.fixture(scope="module")
def events(address):
    """What the page's events are, as gradio tells everybody."""
    return get(f"{address}config").json()["dependencies"]


JSON = {"Content-Type": "application/json"}


def join(address, event, data, session):
    body = {"fn_index": event["id"], "data": data, "session_hash": session}
    return post(f"{address}gradio_api/queue/join", content=json.dumps(body), headers=JSON)


def news(address, session):
    """What the queue says of a session, until its event is over."""
    with stream("GET", f"{address}gradio_api/queue/data?session_hash={session}", timeout=60) as told_of:
        for line in told_of.iter_lines():
            if line.startswith("data: "):
                told = json.loads(line[6:])
                if told["msg"] == "process_completed":
                    return told
    raise AssertionError("the queue has ended without an answer")


def run_event(events):
    return next(one for one in events if one["api_name"] == "compare-text-to-image")


def exchanged(address, *parts, pause=0.0, patience=10.0):
    """What a server answers to bytes on a plain connection, and after how many seconds it hangs up."""
    place = urlsplit(address)
    started = time.monotonic()
    with socket.create_connection((place.hostname, place.port), timeout=patience) as line:
        for part in parts:
            line.sendall(part)
            time.sleep(pause)
        answer = b""
        while got := line.recv(65536):
            answer += got
            if b"\r\n\r\n" in answer and b"connection: close" not in answer.lower():
                break
    return answer, time.monotonic() - started


def head(path, *lines, method="POST"):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


FORM = "Content-Type: multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/component_server", "/login", "/nowhere"])
@pytest.mark.parametrize("size", [10**11, 11 * 2**20])
def test_what_claims_too_much_is_refused_before_it_is_sent(path, size, address):
    answer, seconds = exchanged(address, head(path, FORM, f"Content-Length: {size}"))
    assert answer.startswith(b"HTTP/1.1 413")
    assert seconds < SECONDS


def test_settings_are_small(address):
    assert post(f"{address}gradio_api/queue/join", content=b"[" * 2**21).status_code == 413


def test_what_does_not_say_how_long_it_is_is_refused(address):
    answer, _ = exchanged(address, head("/gradio_api/upload", FORM, "Transfer-Encoding: chunked"))
    assert answer.startswith(b"HTTP/1.1 411")


BEGINNINGS = {
    "nothing": [b""],
    "half a line": [b"GET / HT"],
    "headers": [head("/", method="GET")[:-2], b"X: 1\r\n", b"Y: 1\r\n"],
    "upload": [head("/gradio_api/upload", FORM, "Content-Length: 100000") + PART],
    "settings": [
        head("/gradio_api/queue/join", "Content-Type: application/json", "Content-Length: 1000") + b"{"
    ],
    "log-in": [
        head("/login", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 99") + b"a"
    ],
}


def test_requests_that_never_end_are_hung_up_on(address):
    """All at once, since the server waits its time for each."""
    with ThreadPoolExecutor(len(BEGINNINGS)) as pool:
        found = pool.map(lambda parts: exchanged(address, *parts, pause=0.5), BEGINNINGS.values())
        for name, (answer, seconds) in zip(BEGINNINGS, found, strict=True):
            assert seconds < 4 * SECONDS, name
            assert not answer or re.match(rb"HTTP/1.1 4\d\d", answer), name


def test_uploads_of_one_visitor_have_a_sum():
    with serving(Server(limits=Limits(visitor_bytes=3 * 2**20, all_bytes=2**22), threads=1)) as address:

        def upload(visitor):
            files = {"files": ("a.png", bytes(2**20))}
            headers = {"X-Forwarded-For": visitor}
            return post(f"{address}gradio_api/upload", files=files, headers=headers).status_code

        assert [upload("1.1.1.1") for _ in range(3)] == [200, 200, 429]
        assert upload("2.2.2.2") == 200
        assert upload("3.3.3.3") == 429, "all together"


def uploaded(address, picture):
    content = io.BytesIO()
    picture.save(content, "PNG")
    sent = post(f"{address}gradio_api/upload", files={"files": ("a.png", content.getvalue())}, timeout=60)
    assert sent.status_code == 200
    return {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}


def editor_events(address):
    """Events that read an editor, with its place among their inputs."""
    config = get(f"{address}config").json()
    editors = {one["id"] for one in config["components"] if one["type"] == "imageeditor"}
    for event in config["dependencies"]:
        for place, one in enumerate(event["inputs"]):
            if one in editors:
                yield event, place


def test_layers_are_counted_before_any_is_decoded(address):
    bomb = uploaded(address, Image.new("L", (SIDE, SIDE), 255))
    small = uploaded(address, Image.new("RGBA", (32, 32)))
    found = list(editor_events(address))
    assert found
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    edits = (
        {"background": None, "layers": [bomb] * 60, "composite": None},
        {"background": None, "layers": [small] * 60, "composite": None},
        {"background": bomb, "layers": [], "composite": None},
        {"background": small, "layers": [{**small, "path": small["path"] + "x"}], "composite": None},
    )
    for event, place in found:
        assert event["queue"] is not False, "pictures are decoded in the queue only"
        for number, edit in enumerate(edits):
            data = [None] * len(event["inputs"])
            data[place] = edit
            session = f"layers-{event['id']}-{number}"
            assert join(address, event, data, session).status_code == 200
            assert news(address, session)["success"] is False
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300 * 1024, "kilobytes: one such picture has 94 MB as RGBA"


@pytest.mark.parametrize("index", ["1000000000", "-1", "1e9", "x"])
def test_an_edit_sent_in_parts_has_as_many_layers(index, address):
    component = next(
        one["id"] for one in get(f"{address}config").json()["components"] if one["type"] == "imageeditor"
    )
    fields = {"type": "layer", "index": index, "id": "a", "component_id": str(component)}
    sent = post(
        f"{address}gradio_api/component_server",
        data={**fields, "session_hash": "s", "fn_name": "accept_blobs"},
        files={"files": ("a.png", b"x")},
    )
    assert sent.status_code >= 400


def test_runs_that_were_never_announced_are_counted_too(address, events):
    event = run_event(events)
    values = DRAWING_TABS[0].settings(MINIATURE).flat() | {"steps": 100, "cost": "2.5x"}
    data = [values[name] for name in NAMES if name != "frames"]
    sent = [join(address, event, data, f"flood-{number}").status_code for number in range(20)]
    assert sent.count(200) <= WAITING + 2
    assert set(sent) == {200, 503}
    for number in range(20):  # gradio drops what a session waits for when its page is gone
        post(f"{address}gradio_api/reset", json={"event_id": f"flood-{number}"})


def test_an_order_that_never_comes_gives_its_place_back(tmp_path):
    visits = Visits(tmp_path, LIMITS)
    for number in range(WAITING + 1):
        visits.of(f"closed {number}").asks_for("inpaint")
    assert visits.runs_beside("new") == WAITING + 1
    time.sleep(LIMITS.order_seconds + 0.1)
    assert visits.runs_beside("new") == 0
    visits.held = lambda: ["closed 0", "closed 0", "closed 1"]  # two of them did come
    assert visits.runs_beside("new") == 3
    assert visits.runs_beside("closed 0") == 1


def test_who_waits_in_the_queue_is_not_idle(tmp_path):
    visits = Visits(tmp_path, Limits(idle_seconds=1, visits=1))
    visit = visits.of("waits")
    visits.held = lambda: ["waits"]
    visit.last_seen -= 5
    visits.forget_idle()
    visits.of("another")
    assert visits.of("waits") is visit


VALUES = DRAWING_TABS[0].settings(MINIATURE).flat() | {"prompt": "a \ud800", "steps": 2, "cost": "2.5x"}
HALF = [VALUES[name] for name in NAMES if name != "frames"]  # with half a character


def test_a_bad_value_is_no_traceback_in_the_log(address, events, capfd):
    for number, data in enumerate(([5000] * 19, [], [{"a": 1}] * 19, ["x" * 2000] + [None] * 18, HALF)):
        for event in (run_event(events), *[one for one in events if one["queue"] is False][:3]):
            session = f"bad-{number}-{event['id']}"
            if join(address, event, data, session).status_code == 200:
                news(address, session)
            post(
                f"{address}gradio_api/run/predict",
                content=json.dumps({"fn_index": event["id"], "data": data, "session_hash": session}),
                headers=JSON,
            )
    post(f"{address}gradio_api/call/v2/nowhere", json={})
    written = capfd.readouterr()
    assert "Traceback" not in written.err + written.out


def test_sessions_have_a_short_name_and_no_name_is_one_of_their_own(address, events, capfd):
    event = next(one for one in events if one["api_name"] == "begin")
    for session in ("", "x" * 65, "x" * 10**5):
        sent = join(address, event, [], session)
        assert sent.status_code == (422 if session else 200)
    sent = post(f"{address}gradio_api/call/{event['api_name']}", json={"data": [], "session_hash": ""})
    assert sent.status_code == 200
    assert join(address, event, [], "s" * 64).status_code == 200
    assert news(address, "s" * 64)["success"] is False, "behind them in the queue"
    written = capfd.readouterr()
    assert "Traceback" not in written.err + written.out
    assert "KeyError" not in written.err + written.out


def test_nothing_names_a_folder_of_the_machine(address):
    shown = uploaded(address, Image.new("RGB", (8, 8)))["path"]
    for text in (get(f"{address}config").text, get(address).text, shown):
        assert not re.search(r"/tmp|/root|/home|/work|mmcache-demo-", text)
    assert get(f"{address}gradio_api/file={shown}").status_code == 200


def test_the_page_may_load_from_itself_only(address):
    for path in ("", "config", "nowhere"):
        policy = get(address + path).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "http" not in policy
        assert "*" not in policy


def test_wrong_passwords_are_slowed_down():
    with serving(Server(auth=("me", "secret"), threads=1)) as address:

        def attempt(password):
            started = time.monotonic()
            sent = post(f"{address}login", data={"username": "me", "password": password}, timeout=60)
            return sent.status_code, time.monotonic() - started

        (first, _), (second, later) = attempt("wrong"), attempt("wrong")
        assert (first, second) == (400, 400)
        assert later > 0.9
        status, right = attempt("secret")
        assert status == 200
        assert right > 1.9
        assert attempt("wrong")[1] < 2, "the right one makes up for it: it would have been 4 seconds"


def test_attempts_side_by_side_wait_in_line():
    log_ins = LogIns()
    assert [log_ins.wait("one") for _ in range(3)] == pytest.approx([0, 0, 0], abs=0.01)
    for _ in range(3):
        log_ins.ended("one", right=False)
    waits = [log_ins.wait("one") for _ in range(5)]
    assert waits == sorted(waits)
    assert waits[-1] > 15
    assert log_ins.wait("another") < 0.01


DEFAULTS = {tab.task.name: tab.settings(MINIATURE) for tab in DRAWING_TABS}
WORDS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "<img src=//x>",
            "nan",
            "inf",
            "1e999",
            "-1",
            "9" * 5000,
            "x" * 5000,
            "0x10",
            "True",
            "../../etc",
            "٣",
        ]
    ),
    st.integers().map(str),
    st.floats().map(str),
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    query=st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=9)), WORDS, max_size=4),
    tab=st.one_of(st.none(), st.sampled_from([*DEFAULTS]), WORDS),
)
def test_a_link_is_settings_within_the_limits_and_short_sentences(query, tab):
    query = query | ({} if tab is None else {"tab": tab})
    found = read_query(query, DEFAULTS, Limits())
    if found is not None:
        found.settings.check(Limits())
        assert found.settings.model == MINIATURE
        assert found.tab in DEFAULTS
        assert all(len(complaint) <= 300 for complaint in found.complaints)


def test_limits_of_a_service_hold_for_every_visitor(tmp_path):
    from mmcache_demos.app.models import Offer
    from mmcache_demos.app.service import Service

    service = Service(Offer(), {}, LIMITS, tmp_path)
    service.visits.held = lambda: [f"waits {number}" for number in range(WAITING + 1)]
    with pytest.raises(LimitError):
        service.takes_order(SimpleNamespace(session_hash="new"), "inpaint")
