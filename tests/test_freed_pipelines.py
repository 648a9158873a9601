"""`del pipe` frees the weights of an accelerated pipe at once, as those of a plain one."""

import gc
import weakref
from collections.abc import Iterator

import pytest

import mmcache
from tests.tiny import sample, stable_diffusion


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """What is freed here is freed by the last reference to it, not by the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("runs", [0, 1, 2])
@pytest.mark.parametrize("keep_session", [False, True])
def test_weights_go_with_the_pipe(runs, keep_session):
    pipe = stable_diffusion()
    session = mmcache.accelerate(pipe, interval=2)
    for _ in range(runs):
        sample(pipe)
    if not keep_session:
        del session
    model, weights = weakref.ref(pipe.unet), weakref.ref(next(pipe.unet.parameters()))
    del pipe
    assert model() is None
    assert weights() is None


def test_a_session_outlives_its_pipe_and_says_so():
    pipe = stable_diffusion()
    session = mmcache.accelerate(pipe, interval=2)
    del pipe
    assert session.owner is None
    assert not session.active
    assert session.report().denoisers == ()
    session.restore()


def test_models_that_outlive_their_pipe_are_plain():
    pipe = stable_diffusion()
    unet, scheduler = pipe.unet, pipe.scheduler
    plain = type(scheduler)
    mmcache.accelerate(pipe, interval=2)
    del pipe
    assert "forward" not in vars(unet)
    assert type(scheduler) is not plain or not hasattr(plain, "mmcache_listeners")
    assert not hasattr(type(scheduler), "mmcache_listeners")


def test_accelerating_and_restoring_again_and_again_leaves_nothing_on_the_pipe():
    pipe = stable_diffusion()
    for _ in range(3):
        session = mmcache.accelerate(pipe, interval=2)
        parts = weakref.ref(session._bindings)
        session.restore()
        del session
        assert parts() is None


def test_a_pipe_that_is_accelerated_anew_is_freed_too():
    pipe = stable_diffusion()
    mmcache.accelerate(pipe, interval=2)
    mmcache.accelerate(pipe, interval=3)
    model = weakref.ref(pipe.unet)
    del pipe
    assert model() is None
