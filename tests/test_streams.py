"""The streams that the adapters declare are those that the source of the blocks shows."""

import diffusers
import pytest
import torch
from diffusers.pipelines.deprecated.wuerstchen import WuerstchenPrior

from mmcache.architectures.block_source import streams_of
from mmcache.architectures.registry import known
from mmcache.errors import UnsupportedPipelineError
from mmcache.layouts.block_stack import BlockStack
from mmcache.layouts.block_streams import places
from tests.zoo import TRANSFORMERS

STACKS = {
    name: adapter.layout
    for name, adapter in known().denoisers.items()
    if isinstance(adapter.layout, BlockStack) and not adapter.inferred
}
# Blocks that return what a child returns, or more than they hand on to the next block: what is declared here
# is what their model takes of it.
NOT_SHOWN = {
    "CosmosTransformerBlock": ("hidden_states",),
    "Cosmos3VLTextMoTDecoderLayer": ("und_seq", "gen_seq"),
    "Flux2SingleTransformerBlock": ("hidden_states",),
}
HIDREAM = {
    "double_stream_blocks": ("hidden_states", "encoder_hidden_states"),
    "single_stream_blocks": ("hidden_states",),
}


def small_or_on_meta(name):
    """A model of the class: small, or as large as by default but without memory."""
    if name in IN_PIPELINES:
        return CASES[IN_PIPELINES[name]].make().transformer
    with torch.device("meta"):
        if name == "WuerstchenPrior":
            return WuerstchenPrior(depth=3)
        return getattr(diffusers, name)()


# Classes that cannot be made with their default settings: the zoo has pipelines with them.
IN_PIPELINES = {
    "HunyuanDiT2DModel": "HunyuanDiTPipeline",
    "HiDreamImageTransformer2DModel": "HiDreamImagePipeline",
    "LuminaNextDiT2DModel": "LuminaPipeline",
    "Transformer2DModel": "VQDiffusionPipeline",
    "OmniGenTransformer2DModel": "OmniGenPipeline",
    "LatteTransformer3DModel": "LattePipeline",
    "EasyAnimateTransformer3DModel": "EasyAnimatePipeline",
}
CASES = {case.pipeline: case for case in TRANSFORMERS}


@pytest.mark.parametrize("name", STACKS)
def test_declared_streams_are_those_of_the_blocks(name):
    model, layout = small_or_on_meta(name), STACKS[name]
    lists = [table for table in layout.streams if len(getattr(model, table, ())) > 0]
    assert lists, "none of the lists that the adapter names is there"
    for table in lists:
        declared = layout.streams[table]
        for block in getattr(model, table):
            places(block, declared)  # it has arguments of these names
            try:
                shown = streams_of(block)
            except UnsupportedPipelineError:
                shown = NOT_SHOWN.get(type(block).__name__, HIDREAM.get(table))
            assert declared == shown, f"{name}.{table}"
