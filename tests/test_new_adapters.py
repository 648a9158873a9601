"""As the author of an adapter would: own models, a file outside the repository, one import, the laws."""

import importlib.util

import pytest
import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d_blocks import DownBlock2D, UNetMidBlock2D, UpBlock2D
from torch import nn

from mmcache import Uniform, accelerate
from mmcache.architectures import registry
from mmcache.architectures.example_call import Size
from mmcache.testing import check_adapter
from mmcache.tools.inspecting.inspection import inspect
from tests import tiny

WIDTH, STEPS = 8, 6
SETTINGS = {"temb_channels": WIDTH, "resnet_groups": 4, "num_layers": 1}


class Down(ModelMixin, ConfigMixin):
    """The way down of a U-Net, for the U-Net and its ControlNet."""

    @register_to_config
    def __init__(self, in_channels=2, sample_size=8):
        super().__init__()
        self.conv_in = nn.Conv2d(in_channels, WIDTH, 3, padding=1)
        self.time = nn.Linear(1, WIDTH)
        self.down_blocks = nn.ModuleList(
            DownBlock2D(in_channels=WIDTH, out_channels=WIDTH, add_downsample=first, **SETTINGS)
            for first in (True, False)
        )
        self.mid_block = UNetMidBlock2D(in_channels=WIDTH, add_attention=False, **SETTINGS)

    def go_down(self, sample, timestep):
        time = self.time(torch.as_tensor(timestep).float().reshape(1, 1) / 1000).expand(len(sample), -1)
        hidden = self.conv_in(sample)
        skips = (hidden,)
        for block in self.down_blocks:
            hidden, made = block(hidden_states=hidden, temb=time)
            skips += made
        return hidden, skips, time


class AuthorsUNet(Down):
    def __init__(self):
        super().__init__()
        self.up_blocks = nn.ModuleList(
            UpBlock2D(
                in_channels=WIDTH,
                prev_output_channel=WIDTH,
                out_channels=WIDTH,
                add_upsample=first,
                **SETTINGS | {"num_layers": 2},
            )
            for first in (True, False)
        )
        self.conv_out = nn.Conv2d(WIDTH, 2, 3, padding=1)

    def forward(
        self,
        sample,
        timestep,
        down_block_additional_residuals=None,
        mid_block_additional_residual=None,
    ):
        hidden, skips, time = self.go_down(sample, timestep)
        if self.mid_block is not None:
            hidden = self.mid_block(hidden, time)
        if down_block_additional_residuals is not None:
            skips = tuple(a + b for a, b in zip(skips, down_block_additional_residuals, strict=False))
            hidden = hidden + mid_block_additional_residual
        for block in self.up_blocks:
            count = len(block.resnets)
            hidden = block(hidden, res_hidden_states_tuple=skips[-count:], temb=time)
            skips = skips[:-count]
        return (self.conv_out(hidden),)


class AuthorsControlNet(Down):
    def __init__(self):
        super().__init__()
        self.controlnet_down_blocks = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 1) for _ in range(4))
        self.controlnet_mid_block = nn.Conv2d(WIDTH, WIDTH, 1)

    def forward(self, sample, timestep, conditioning_scale=1.0):
        hidden, skips, time = self.go_down(sample, timestep)
        hidden = self.controlnet_mid_block(self.mid_block(hidden, time))
        residuals = [conv(skip) for conv, skip in zip(self.controlnet_down_blocks, skips, strict=True)]
        return [residual * conditioning_scale for residual in residuals], hidden * conditioning_scale


class AuthorsBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.of_image, self.of_text = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, image, text, time):
        text = text + torch.tanh(self.of_text(text + image.mean(1, keepdim=True)))
        return image + torch.tanh(self.of_image(image + text.mean(1, keepdim=True)) * time), text


class AuthorsTransformer(ModelMixin, ConfigMixin):
    @register_to_config
    def __init__(self, in_channels=2, sample_size=8, text_dim=3):
        super().__init__()
        self.embed, self.text = nn.Linear(in_channels, WIDTH), nn.Linear(text_dim, WIDTH)
        self.my_blocks = nn.ModuleList(AuthorsBlock() for _ in range(6))
        self.out = nn.Linear(WIDTH, in_channels)

    def forward(self, latent, time, words):
        hidden, text = self.embed(latent.flatten(2).mT), self.text(words)
        for block in self.my_blocks:
            hidden, text = block(hidden, text, time=torch.as_tensor(time) / 1000)
        return (self.out(hidden).mT.reshape(latent.shape),)


class AuthorsPipeline(DiffusionPipeline):
    _optional_components = ("controlnet",)

    def __init__(
        self,
        denoiser: AuthorsUNet | AuthorsTransformer,
        scheduler: DDIMScheduler,
        controlnet: AuthorsControlNet | None = None,
    ):
        super().__init__()
        self.register_modules(denoiser=denoiser, scheduler=scheduler, controlnet=controlnet)

    @torch.no_grad()
    def __call__(self, num_inference_steps=STEPS, generator=None):
        self.scheduler.set_timesteps(num_inference_steps)
        latent = torch.randn(1, 2, 8, 8, generator=generator)
        words = torch.linspace(-1, 1, 6).reshape(1, 2, 3)
        for t in self.scheduler.timesteps:
            if isinstance(self.denoiser, AuthorsTransformer):
                output = self.denoiser(latent, t, words)[0]
            elif self.controlnet is None:
                output = self.denoiser(latent, t)[0]
            else:
                down, mid = self.controlnet(latent, t, conditioning_scale=0.5)
                output = self.denoiser(
                    latent,
                    t,
                    down_block_additional_residuals=down,
                    mid_block_additional_residual=mid,
                )[0]
            latent = self.scheduler.step(output, t, latent).prev_sample
        return latent


UNET_FILE = '''
"""The author's U-Net."""

from mmcache.extend import Adapter, SkipUNet, UNetCall, register

CALL = UNetCall({"sample": "b c h w"})

register(Adapter("author's U-Net", ("AuthorsUNet",), SkipUNet(), example_call=CALL))
'''
CONTROLNET_FILE = '''
"""The author's ControlNet."""

from mmcache.extend import SideAdapter, SideUNet, register

register(SideAdapter("author's ControlNet", ("AuthorsControlNet",), SideUNet()))
'''
TRANSFORMER_FILE = '''
"""The author's transformer."""

from mmcache.extend import TransformerCall, register, transformer

register(
    transformer(
        "author's transformer",
        "AuthorsTransformer",
        streams={"my_blocks": ("image", "text")},
        sample="latent",
        timestep="time",
        example_call=TransformerCall(
            {"latent": "b in_channels h w", "time": "", "words": "b t text_dim"}, pixels="64", tokens="2"
        ),
    )
)
'''
CASES = {
    "U-Net": (AuthorsUNet, None, [UNET_FILE]),
    "ControlNet": (AuthorsUNet, AuthorsControlNet, [UNET_FILE, CONTROLNET_FILE]),
    "transformer": (AuthorsTransformer, None, [TRANSFORMER_FILE]),
}


@pytest.fixture(params=CASES)
def made(request, tmp_path, monkeypatch):
    """How to make the pipeline, after the author's files were imported."""
    monkeypatch.setattr(registry, "_registered", registry._registered)
    denoiser, controlnet, files = CASES[request.param]
    for number, text in enumerate(files):
        file = tmp_path / f"adapter_{number}.py"
        file.write_text(text.lstrip())
        assert len(text.strip().splitlines()) <= 30
        spec = importlib.util.spec_from_file_location(file.stem, file)
        spec.loader.exec_module(importlib.util.module_from_spec(spec))

    def make():
        torch.manual_seed(0)
        side = controlnet().eval() if controlnet else None
        pipe = AuthorsPipeline(denoiser().eval(), DDIMScheduler(), side)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return make


def sample(pipe):
    return pipe(generator=torch.Generator().manual_seed(0))


# By default the laws of runs at two branches, the first and one that runs nothing, as in `test_laws`.
@pytest.mark.parametrize("branches", [(0, "none"), pytest.param(None, marks=pytest.mark.slow)], ids=str)
def test_one_file_and_no_other_edit_passes_all_laws(made, branches):
    check_adapter(made, sample, branches=branches)
    pipe = made()
    session = accelerate(pipe, policy=Uniform(2))
    sample(pipe)
    assert tiny.steps_of(session) == "F0" * (STEPS // 2)


def test_inspect_counts_what_the_file_describes(made):
    (found,) = inspect(made(), Size())
    assert not found.note
    assert all(0 < branch.macs < found.full_macs for branch in found.branches)
    assert found.branches
