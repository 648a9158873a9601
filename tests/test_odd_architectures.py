"""The cuts of architectures that are not Stable Diffusion's U-Net, beyond what the zoo's pipelines show."""

import pytest
import torch
from diffusers import UNet1DModel
from diffusers.pipelines.deprecated.wuerstchen import WuerstchenPrior
from torch import nn

from mmcache.architectures.registry import adapter_for
from mmcache.layouts.block_stack import BlockStack
from mmcache.layouts.cut import cached_view, filled, full_view
from mmcache.testing import check_cheaper, check_same_input
from tests.zoo.versatile import text_unet


class Block(nn.Module):
    """Two streams that see each other; returned in another order than they are given."""

    def __init__(self, channels):
        super().__init__()
        self.of_picture, self.of_text = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def forward(self, picture, scale, text=None):
        return text + self.of_text(picture.mean(1, keepdim=True)), picture + scale * self.of_picture(picture)


class TwoStreams(nn.Module):
    """Blocks that a side network adds to, as ControlNets do to diffusion transformers."""

    def __init__(self, layers=7, channels=8):
        super().__init__()
        self.entrance = nn.Linear(channels, channels)
        self.blocks = nn.ModuleList(Block(channels) for _ in range(layers))
        self.out = nn.Linear(channels, channels)

    def forward(self, sample, text, residuals):
        hidden = self.entrance(sample)
        for block, residual in zip(self.blocks, residuals, strict=True):
            text, hidden = block(hidden, 0.5, text=text)
            hidden = hidden + residual
        return (self.out(hidden + text.mean(1, keepdim=True)),)


TWO_STREAMS = BlockStack({"blocks": ("text", "picture")})


def two_streams(layers=7):
    torch.manual_seed(0)
    return TwoStreams(layers).eval()


def inputs(layers=7, seed=1):
    generator = torch.Generator().manual_seed(seed)
    draw = [torch.randn(2, 5, 8, generator=generator) for _ in range(2 + layers)]
    return {"sample": draw[0], "text": draw[1], "residuals": draw[2:]}


def full_then_cached(model, layout, branch, call, next_call):
    """What a full step gives for `call`, and then a cached step for `next_call`."""
    cut = layout.cut(model, branch)
    with torch.no_grad():
        full = full_view(model, [cut]).module(**call)[0]
        feature = cut.tap.take()
        with filled(cut.slot, feature):
            return full, cached_view(model, cut).module(**next_call)[0], feature


@pytest.mark.parametrize("layers", [3, 4, 7])
def test_all_streams_come_back_bit_for_bit(layers):
    model, call = two_streams(layers), inputs(layers)
    for branch in range(TWO_STREAMS.branches(model)):
        full, again, feature = full_then_cached(model, TWO_STREAMS, branch, call, call)
        assert torch.equal(again, full)
        assert len(feature) == 4  # two streams, as they left and as they entered


def test_what_a_side_network_adds_to_the_deep_part_is_not_added_twice_and_not_needed():
    call = inputs()
    dropped = call | {"residuals": [*call["residuals"][:1], *[torch.zeros(())] * 4, *call["residuals"][5:]]}
    full, again, _ = full_then_cached(two_streams(), TWO_STREAMS, 0, call, dropped)
    assert torch.equal(again, full)


def test_a_cached_step_follows_what_its_head_makes_of_a_new_input():
    """What reaches the tail moves as far as what enters; only what the deep part adds to that is missing."""
    model = two_streams()
    call, other = inputs(), inputs()
    other["sample"] = call["sample"] + 1e-3
    full, again, _ = full_then_cached(model, TWO_STREAMS, 2, call, other)
    with torch.no_grad():
        wanted = model(**other)[0]
    assert (again - wanted).abs().max() < 0.5 * (full - wanted).abs().max()


def test_a_slot_holds_nothing_after_a_cached_step():
    model = two_streams()
    cut = TWO_STREAMS.cut(model, 0)
    with torch.no_grad():
        full_view(model, [cut]).module(**inputs())
        with filled(cut.slot, cut.tap.take()):
            cached_view(model, cut).module(**inputs())
    assert cut.slot.kept.feature == ()
    assert cut.slot.kept.entered == ()


@pytest.mark.parametrize(
    ("depth", "ends", "wanted"),
    [(1, 1, 0), (2, 1, 0), (3, 1, 1), (8, 1, 3), (16, 1, 4), (22, 0, 4), (1, 0, 1)],
)
def test_a_stack_has_four_branches_where_it_is_deep_enough(depth, ends, wanted):
    model = WuerstchenPrior(c_in=2, c=4, c_cond=4, c_r=4, depth=depth, nhead=1)
    layout = BlockStack({"blocks": ("x",)}, group=3, ends=ends)
    assert layout.branches(model) == wanted
    with pytest.raises(ValueError, match=f"branch={wanted}: this WuerstchenPrior has {wanted} branches"):
        layout.cut(model, wanted)


def planner():
    """The U-Net of Diffuser (arXiv 2205.09991): it ends before the outermost level is reached again."""
    torch.manual_seed(0)
    return UNet1DModel(
        sample_size=32,
        in_channels=14,
        out_channels=14,
        down_block_types=("DownResnetBlock1D",) * 3,
        up_block_types=("UpResnetBlock1D",) * 2,
        mid_block_type="MidResTemporalBlock1D",
        out_block_type="OutConv1DBlock",
        block_out_channels=(8, 16, 32),
        time_embedding_type="positional",
        use_timestep_embedding=True,
        act_fn="mish",
        norm_num_groups=8,
    ).eval()


def call_planner(model):
    with torch.no_grad():
        model(torch.randn(1, 14, 32), 7)


def call_text_unet(model):
    with torch.no_grad():
        model(torch.randn(1, 4, 4, 1), 7, encoder_hidden_states=torch.randn(1, 5, 16))


BARE = {
    "planner": (planner, call_planner, 2),
    "text U-Net of Versatile Diffusion": (text_unet, call_text_unet, 4),
}


@pytest.mark.parametrize("name", BARE)
def test_models_that_no_pipeline_runs(name):
    make, call, branches = BARE[name]
    assert adapter_for(make()).branches(make()) == branches
    check_same_input(make(), call)
    check_cheaper(make(), call)
