"""Tests share the cores between processes, not between threads of one.

Tiny models are slower on several threads, much slower if other programs run.
"""

import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the programs that tests start; before torch reads it

import pytest
import torch
from torch._dynamo.utils import counters

from tests import tiny_prompted
from tests.demo_browser import FEWER_FRAMES
from tests.pipelines_table import pytest_addoption, pytest_configure  # noqa: F401  # a plugin

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def gradients():
    """On, as they are by default: a law that was broken in mid-way may have left them off in this process."""
    torch.set_grad_enabled(True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a tiny pipeline that takes prompts is saved."""
    place = tmp_path_factory.mktemp("model")
    tiny_prompted.prompted().save_pretrained(place)
    return place


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Whatever a command writes by mistake, it writes here."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def an_accelerator(monkeypatch):
    """diffusers 0.36 asks torch for one before it offloads in groups; a machine with a CPU alone has none."""
    if torch.accelerator.current_accelerator() is None:
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cpu"))


class Graphs(list):
    """The graphs that were compiled, by a compiler that runs them as they were traced."""

    def backend(self, graph, inputs):
        self.append(graph)
        return graph


@pytest.fixture
def graphs():
    torch._dynamo.reset()
    counters.clear()
    yield Graphs()
    torch._dynamo.reset()


@pytest.fixture(scope="module")
def chromium():
    from mmcache_demos.app.browser import browser

    with browser() as opened:
        yield opened


def pytest_collection_finish(session):
    """What was imported stays: the garbage collector looks at a million objects less each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def context(chromium):
    """A browser's profile: what a page loads is loaded once, and each tab is a visitor of its own.

    Nothing moves by itself: without a GPU the wipe of each new page takes a second of the processor.
    """
    opened = chromium.new_context(reduced_motion="reduce")
    opened.add_init_script(FEWER_FRAMES)
    yield opened
    opened.close()
