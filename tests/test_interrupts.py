"""Ctrl-C at any line: the model is as it was, and the next run is right."""

import contextlib
import sys
from pathlib import Path

import pytest
import torch
from diffusers import PixArtSigmaPipeline

import mmcache
from mmcache import Plan, Taylor, Uniform, accelerate
from mmcache.testing.live_model_laws import PlainTables
from tests import tiny
from tests.zoo import controlnet
from tests.zoo.transformers import pixart

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little")

OWN = str(Path(mmcache.__file__).parent)


class Tracer:
    """Sees the lines of mmcache's own code; raises where it is told to, the first time."""

    def __init__(self, target=None):
        self.target = target
        self.seen = OWN if target is None else target[0]  # the fewer frames are traced, the faster
        self.lines = {}
        self.raised = False

    def __call__(self, frame, event, arg):
        return self.line if frame.f_code.co_filename.startswith(self.seen) else None

    def line(self, frame, event, arg):
        place = frame.f_code.co_filename, frame.f_lineno
        if event == "line":
            self.lines.setdefault(place)
            if place == self.target and not self.raised:
                self.raised = True
                sys.settrace(None)
                raise KeyboardInterrupt
        return self.line

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self)
        return self

    def __exit__(self, *exc):
        sys.settrace(self.before)


def four_steps(pipe):
    return tiny.sample(pipe, num_inference_steps=4)


def one_level():
    """As few layers as two branches can have: each line of mmcache costs two runs."""
    return tiny.small(
        block_out_channels=(16,), down_block_types=("CrossAttnDownBlock2D",), up_block_types=("UpBlock2D",)
    )


CASES = {
    "U-Net": (tiny.small, four_steps, 1),
    "one level": (one_level, four_steps, 1),
    "ControlNet": (controlnet.one, lambda pipe: controlnet.sample(pipe, True, num_inference_steps=4), 1),
    "transformer": (
        lambda: pixart.build(PixArtSigmaPipeline),
        lambda pipe: pixart.sample(pipe, True, num_inference_steps=4),
        0,
    ),
}


@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("one level", 14),
        ("ControlNet", 70),
        ("transformer", 70),
        *(pytest.param(name, 1, marks=pytest.mark.slow) for name in CASES),
    ],
)
def test_an_interrupt_at_any_line_leaves_the_model_and_the_next_run_right(name, every):
    make, sample, branch = CASES[name]
    pipe = make()
    model = getattr(pipe, "unet", None) or pipe.transformer
    plain = PlainTables(model)
    session = accelerate(pipe, Plan(Uniform(2), Taylor(1), branch))
    wanted = torch.as_tensor(sample(pipe))
    for _ in range(2):  # kinds of calls that are new are counted behind the first run, and never again
        with Tracer() as tracer:
            sample(pipe)
    lines = list(tracer.lines)
    assert len(lines) > 150
    for line in lines[::every]:
        with Tracer(line) as tracer, contextlib.suppress(KeyboardInterrupt):
            sample(pipe)
        assert tracer.raised, line
        assert not plain.changed(), line
        assert torch.equal(torch.as_tensor(sample(pipe)), wanted), line
    session.restore()
    assert not plain.changed()
