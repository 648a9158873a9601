"""Quantised weights: the same multiply-adds as those of the layers that they stand for, and the laws."""

import pytest
import torch
from torch import nn

from mmcache import accelerate
from mmcache.macs.count import count_macs, require_macs, shapes_of
from mmcache.macs.operations import while_running
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


def replace_linears(model, replacement):
    """Put what `replacement` makes of a linear layer in its place; None leaves it."""
    for path, layer in list(model.named_modules()):
        if type(layer) is nn.Linear and (other := replacement(layer)) is not None:
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, other)


def with_bitsandbytes(kind, **options):
    def quantise(model):
        layers = pytest.importorskip("bitsandbytes").nn

        def quantised(layer):
            bias = layer.bias is not None
            other = getattr(layers, kind)(layer.in_features, layer.out_features, bias=bias, **options)
            other.load_state_dict(layer.state_dict())
            return other.to("cpu")  # here the weights are packed

        replace_linears(model, quantised)

    return quantise


def with_gguf(model):
    """Layers as diffusers makes them of a GGUF file; a block of Q8_0 has 32 numbers."""
    gguf = pytest.importorskip("gguf")
    from diffusers.quantizers.gguf.utils import GGUFLinear, GGUFParameter

    kind = gguf.GGMLQuantizationType.Q8_0

    def quantised(layer):
        if layer.in_features % 32:
            return None
        other = GGUFLinear(layer.in_features, layer.out_features, layer.bias is not None, torch.float32)
        packed = torch.from_numpy(gguf.quantize(layer.weight.detach().numpy(), kind))
        other.weight, other.bias = GGUFParameter(packed, quant_type=kind), layer.bias
        return other

    replace_linears(model, quantised)


def with_hqq(model):
    """Weights of four bits, which a layer unpacks when it is called."""
    quantize = pytest.importorskip("hqq.core.quantize")
    config = quantize.BaseQuantizeConfig(nbits=4, group_size=16)
    options = {"compute_dtype": torch.float32, "device": "cpu"}
    replace_linears(model, lambda layer: quantize.HQQLinear(layer, config, **options))


def with_torch(model):
    """Dynamic quantisation: torch keeps the weights in a module of their own, out of Python's sight."""
    torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8, inplace=True)


class PackedLinear(nn.Module):
    """A linear layer as other packages have them: weights under names of their own, beside a quantiser."""

    def __init__(self, layer):
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.wscales = nn.Parameter(layer.weight.detach().abs().amax(dim=1, keepdim=True) / 127, False)
        self.qweight = nn.Parameter((layer.weight.detach() / self.wscales).round().to(torch.int8), False)
        self.bias = layer.bias
        self.quantiser = nn.Module()
        self.quantiser.register_buffer("amax", torch.ones(()))

    def forward(self, given):
        weight = self.qweight.float() * self.wscales
        # Through numpy, as a kernel of its own: on the meta device it would fail.
        product = torch.from_numpy(given.detach().numpy() @ weight.T.numpy())
        return product if self.bias is None else product + self.bias


def with_packed_linears(model):
    replace_linears(model, PackedLinear)


LIBRARIES = [
    with_quanto,
    with_torchao("Int8WeightOnlyConfig"),
    with_torchao("Float8WeightOnlyConfig"),
    with_bitsandbytes("Linear4bit", compute_dtype=torch.float32, quant_type="nf4"),
    with_bitsandbytes("Linear8bitLt", has_fp16_weights=False),
    with_gguf,
    with_hqq,
    pytest.param(with_torch, marks=pytest.mark.filterwarnings("ignore::DeprecationWarning")),
    with_packed_linears,
]


@pytest.mark.parametrize("quantise", LIBRARIES)
def test_quantised_layers_are_cached_and_counted_as_plain_ones(quantise):
    plain, pipe = (tiny.small(block_out_channels=(32, 32)) for _ in range(2))  # blocks of 32 weights
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
        assert session.report().denoisers[0].macs == macs
    assert torch.equal(tiny.sample(pipe), wanted)


def unet_call():
    return shapes_of(
        {
            "sample": torch.zeros(1, 4, tiny.SIZE, tiny.SIZE),
            "timestep": torch.tensor(3),
            "encoder_hidden_states": torch.zeros(1, 5, 16),
        }
    )


def test_lora_over_quantised_layers_is_counted_beside_them():
    pytest.importorskip("bitsandbytes")
    from peft import LoraConfig

    plain, quantised = tiny.unet(), tiny.unet()
    with_bitsandbytes("Linear4bit", compute_dtype=torch.float32)(quantised)
    alone = require_macs(plain, unet_call())
    for model in (plain, quantised):
        model.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"]))
    assert require_macs(quantised, unet_call()) == require_macs(plain, unet_call()) > alone


class PackedEmbedding(nn.Embedding):
    def __init__(self, layer):
        super().__init__(layer.num_embeddings, layer.embedding_dim)
        self.weight = nn.Parameter(layer.weight.detach().to(torch.int8), False)

    def forward(self, given):
        return torch.from_numpy(super().forward(given).numpy()).float()


def test_an_embedding_of_eight_bits_takes_no_multiply_adds():
    layers = nn.Sequential(nn.Embedding(4, 8), nn.Linear(8, 8))
    packed = nn.Sequential(PackedEmbedding(layers[0]), layers[1])
    call = {"input": torch.zeros(1, 3, dtype=torch.long, device="meta")}
    assert count_macs(packed, call) == count_macs(layers, call) == 3 * 8 * 8


def test_weights_in_two_factors_are_counted_as_they_run():
    class Factors(nn.Module):
        def __init__(self):
            super().__init__()
            self.in_features = self.out_features = 8
            self.down, self.up = nn.Parameter(torch.ones(8, 2)), nn.Parameter(torch.ones(2, 8))

        def forward(self, input):
            return input @ self.down @ self.up

    call = {"input": torch.zeros(3, 8, device="meta")}
    assert count_macs(nn.Sequential(Factors()), call) == 3 * 8 * 2 * 2


@torch.library.custom_op("mmcache_test::product", mutates_args=())
def product(given: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return given @ weight.float().T


@product.register_fake
def _(given, weight):
    return given.new_empty(*given.shape[:-1], weight.shape[0])


class UnnamedLinear(nn.Module):
    """A layer that does not say its sizes, and runs a kernel that torch's counter does not know."""

    def __init__(self, layer):
        super().__init__()
        self.packed = nn.Parameter(layer.weight.detach().to(torch.int8), False)

    def forward(self, given):
        return product(given, self.packed)


def test_kernels_that_nobody_knows_are_not_taken_for_nothing():
    pipe = tiny.stable_diffusion()
    replace_linears(pipe.unet, UnnamedLinear)
    with accelerate(pipe, interval=3) as session:
        tiny.sample(pipe)
        report = session.report()
    assert report.denoisers[0].macs is None
    assert "macs_unknown" in [note.kind for note in report.notes]


def test_nor_where_operations_are_counted_as_they_run():
    layer, given = nn.Linear(8, 8), torch.zeros(3, 8)
    with torch.no_grad(), while_running() as total:
        layer(given)
    assert total() == 3 * 8 * 8
    with torch.no_grad(), while_running() as total:
        UnnamedLinear(layer)(layer(given))
    assert total() is None
