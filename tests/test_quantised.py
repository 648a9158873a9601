"""Quantised weights: the same multiply-adds as those of the layers that they stand for, and the laws."""

import pytest
import torch

from mmcache import accelerate
from tests import tiny


def with_quanto(model):
    quanto = pytest.importorskip("optimum.quanto")
    quanto.quantize(model, weights=quanto.qint8)
    quanto.freeze(model)


def with_torchao(config):
    def quantise(model):
        quantization = pytest.importorskip("torchao.quantization")
        quantization.quantize_(model, getattr(quantization, config)())

    return quantise


@pytest.mark.parametrize(
    "quantise", [with_quanto, with_torchao("Int8WeightOnlyConfig"), with_torchao("Float8WeightOnlyConfig")]
)
def test_quantised_layers_are_cached_and_counted_as_plain_ones(quantise):
    plain, pipe = tiny.stable_diffusion(), tiny.stable_diffusion()
    quantise(pipe.unet)
    wanted = tiny.sample(pipe)
    with accelerate(plain, interval=3) as session:
        tiny.sample(plain)
        macs = session.report().denoisers[0].macs
    with accelerate(pipe, interval=1):
        assert torch.equal(tiny.sample(pipe), wanted)
    with accelerate(pipe, interval=3) as session:
        tiny.sample(pipe)
        assert tiny.steps_of(session) == "F00F00F00F"
        assert session.report().denoisers[0].macs in (macs, None)
    assert torch.equal(tiny.sample(pipe), wanted)
