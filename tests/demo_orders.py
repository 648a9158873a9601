"""Orders of the demo, for its tests: a service of tiny random pipelines, and what visitors ask it for."""

import threading
from contextlib import closing
from functools import partial
from types import SimpleNamespace

import numpy as np
from PIL import Image

import mmcache
from mmcache_demos import load_miniature
from mmcache_demos.app.board import Board
from mmcache_demos.app.demo_tabs import DRAWING_TABS
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.models import Offer
from mmcache_demos.app.orders import Order
from mmcache_demos.app.plan_choice import OWN, PlanChoice, named_plans
from mmcache_demos.app.runs import run_both
from mmcache_demos.app.service import Service
from mmcache_demos.app.settings import MINIATURE, Settings
from mmcache_demos.app.watching import Progress
from tests.tiny_prompted import controlled, inpainting, moving, prompted

STEPS = 10
LIMITS = Limits()
TAB = DRAWING_TABS[0]
NO_BOARD = Board((), lambda pipe: {})
PIPES = {
    "text-to-image": prompted,
    "inpainting": inpainting,
    "controlnet": controlled,
    "text-to-video": moving,
    "transformer": partial(load_miniature, "transformer"),
}
ORDER = Order("a cat", 3.0, mmcache.Plan(mmcache.Uniform(3)), STEPS, 0, "own", {})


def tiny_service(folder, monkeypatch, limits=LIMITS):
    """A server whose miniatures are tiny random pipelines."""
    monkeypatch.setattr("mmcache_demos.app.models.load_miniature", lambda name, **options: PIPES[name]())
    return Service(Offer(), named_plans({}), limits, folder)


def visitor(name="someone"):
    return SimpleNamespace(session_hash=name)


def asked(**changes):
    plan = PlanChoice(OWN, interval=changes.pop("interval", 3))
    return Settings(**{"prompt": "a cat", "steps": STEPS, "plan": plan, "previews": False} | changes)


def defaults():
    return {tab.task.name: tab.settings(MINIATURE) for tab in DRAWING_TABS}


def news_of(service, settings, who="someone", tab=TAB, board=NO_BOARD, given=()):
    with closing(service.compare(visitor(who), tab, settings, board, given)) as news:
        return list(news)


def sides(news):
    return {one.side for one in news if isinstance(one, Progress)}


def pixels(past, name):
    return np.asarray(Image.open(past.files[name]))


def ran(pipe, order=ORDER, stop=None, tell=lambda news: None):
    """The images of both runs."""
    found = run_both(pipe, order, None, stop or threading.Event(), tell).found
    return found.full.images, found.cached.images
