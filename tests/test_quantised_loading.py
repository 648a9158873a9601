"""Models that diffusers itself loads quantised, from a GGUF file or a folder: the laws and multiply-adds."""

import pytest
import torch
from diffusers import FluxTransformer2DModel, UNet2DConditionModel

from mmcache import accelerate
from tests import tiny
from tests.spread_denoiser import PLANS, denoiser, sample, scheduler

# Libraries warn while they are imported, and tell each other of what they lack.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
BLOCK = 32  # weights that GGUF's simple kinds keep together


def write_gguf(model, path, kind):
    """A file with diffusers' names; what cannot be split into blocks stays as it is."""
    import gguf

    kind = getattr(gguf.GGMLQuantizationType, kind)
    writer = gguf.GGUFWriter(path, "diffusers")
    for name, weight in model.state_dict().items():
        numbers = weight.numpy()
        if numbers.ndim == 2 and numbers.shape[1] % BLOCK == 0:
            writer.add_tensor(name, gguf.quantize(numbers, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def from_gguf(kind):
    def load(model, folder):
        pytest.importorskip("gguf")
        from diffusers import GGUFQuantizationConfig

        write_gguf(model, folder / "model.gguf", kind)
        model.save_config(folder)
        config = GGUFQuantizationConfig(compute_dtype=torch.float32)
        path, more = str(folder / "model.gguf"), {"torch_dtype": torch.float32}
        return type(model).from_single_file(path, config=str(folder), quantization_config=config, **more)

    return load


def from_folder(make_config):
    def load(model, folder):
        model.save_pretrained(folder)
        return type(model).from_pretrained(
            folder, quantization_config=make_config(), torch_dtype=torch.float32
        )

    return load


def torchao_config(name):
    def make():
        quantization = pytest.importorskip("torchao.quantization")
        from diffusers import TorchAoConfig

        return TorchAoConfig(getattr(quantization, name)())

    return make


def quanto_config(kind):
    def make():
        pytest.importorskip("optimum.quanto")
        from diffusers import QuantoConfig

        return QuantoConfig(weights_dtype=kind)

    return make


# diffusers refuses bitsandbytes without a GPU: `tests/test_quantised.py` puts its layers into a model itself.
LOADS = {
    **{f"GGUF {kind}": from_gguf(kind) for kind in ("Q8_0", "Q4_0", "BF16")},
    **{
        f"torchao {name}": from_folder(torchao_config(name))
        for name in (
            "Int8WeightOnlyConfig",
            "Float8WeightOnlyConfig",
            "Int8DynamicActivationInt8WeightConfig",
        )
    },
    **{f"quanto {kind}": from_folder(quanto_config(kind)) for kind in ("int8", "int4", "float8")},
}


def quantised(model):
    """The weights of its linear layers that are no plain numbers any more."""
    return [
        path
        for path, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear)
        and (
            type(layer.weight) not in (torch.nn.Parameter, torch.Tensor)
            or type(layer.weight.data) is not torch.Tensor
        )
    ]


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_a_transformer_that_was_loaded_quantised_keeps_the_laws(load, tmp_path):
    plain = denoiser()
    model = load(plain, tmp_path)
    assert type(model) is FluxTransformer2DModel
    assert quantised(model)
    wanted = sample(model, scheduler())
    assert not torch.equal(wanted, sample(plain, scheduler()))
    steps = scheduler()
    with accelerate(model, interval=1, scheduler=steps):
        assert torch.equal(sample(model, steps), wanted)
    macs = []
    for one in (model, plain):
        steps = scheduler()
        with accelerate(one, PLANS["taylor"], scheduler=steps) as session:
            sample(one, steps)
            assert tiny.steps_of(session) == "F0F0F0F0F"
            macs.append(session.report().denoisers[0].macs)
    assert macs[0] == macs[1]
    assert torch.equal(sample(model, scheduler()), wanted)


def test_a_unet_from_a_gguf_file_keeps_the_laws(tmp_path):
    plain, pipe = (tiny.small(block_out_channels=(32, 32)) for _ in range(2))
    pipe.unet = from_gguf("Q8_0")(plain.unet, tmp_path)
    assert type(pipe.unet) is UNet2DConditionModel
    assert quantised(pipe.unet)
    wanted = tiny.sample(pipe)
    with accelerate(pipe, interval=1):
        assert torch.equal(tiny.sample(pipe), wanted)
    macs = []
    for one in (pipe, plain):
        with accelerate(one, interval=3) as session:
            tiny.sample(one)
            assert tiny.steps_of(session) == "F00F00F00F"
            macs.append(session.report().denoisers[0].macs)
    assert macs[0] == macs[1]
    assert torch.equal(tiny.sample(pipe), wanted)
