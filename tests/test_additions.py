"""What people add to a pipeline: FreeU, LoRA, IP-Adapter, PAG, layers of their own."""

import pytest
import torch
from diffusers import (
    StableDiffusionPAGPipeline,
)
from diffusers.models.attention_processor import IPAdapterAttnProcessor
from diffusers.models.embeddings import ImageProjection
from peft import LoraConfig

from mmcache import accelerate
from mmcache.testing import check_fresh, check_interval_one, check_same_input
from tests import tiny
from tests.tiny import PLAN, cached


def with_freeu():
    pipe = tiny.small()
    pipe.enable_freeu(s1=0.9, s2=0.2, b1=1.2, b2=1.4)
    return pipe


def with_lora():
    pipe = tiny.small()
    torch.manual_seed(2)
    pipe.unet.add_adapter(LoraConfig(r=2, init_lora_weights=False, target_modules=["to_q", "to_k", "conv1"]))
    return pipe


def with_ip_adapter():
    pipe = tiny.small()
    pipe.unet._load_ip_adapter_weights([ip_adapter_weights(pipe.unet)])
    return pipe


def ip_adapter_weights(unet):
    """Random weights of an IP-Adapter for a tiny U-Net."""
    torch.manual_seed(3)
    width = unet.config.cross_attention_dim
    sizes = {"mid": unet.config.block_out_channels[-1]}
    sizes |= {f"down_blocks.{i}": size for i, size in enumerate(unet.config.block_out_channels)}
    sizes |= {f"up_blocks.{i}": size for i, size in enumerate(reversed(unet.config.block_out_channels))}
    attention = {}
    for index, name in enumerate(name for name in unet.attn_processors if name.endswith("attn2.processor")):
        size = next(size for place, size in sizes.items() if name.startswith(place))
        weights = IPAdapterAttnProcessor(size, width).state_dict()
        attention[f"{2 * index + 1}.to_k_ip.weight"] = weights["to_k_ip.0.weight"]
        attention[f"{2 * index + 1}.to_v_ip.weight"] = weights["to_v_ip.0.weight"]
    weights = ImageProjection(width, width, num_image_text_embeds=4).state_dict()
    projection = {name.replace("image_embeds", "proj"): tensor for name, tensor in weights.items()}
    return {"image_proj": projection, "ip_adapter": attention}


def sample_with_picture(pipe):
    picture = torch.randn(2, 1, 16, generator=torch.Generator().manual_seed(4))
    return tiny.sample(pipe, ip_adapter_image_embeds=[picture])


def with_pag():
    torch.manual_seed(0)
    pipe = StableDiffusionPAGPipeline(
        vae=tiny.vae(),
        text_encoder=None,
        tokenizer=None,
        unet=tiny.small_unet(mid_block_type="UNetMidBlock2DCrossAttn"),
        scheduler=tiny.ddim(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        pag_applied_layers="mid",
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize(
    ("make", "run"),
    [
        (with_freeu, tiny.sample),
        (with_lora, tiny.sample),
        (with_ip_adapter, sample_with_picture),
        (with_pag, lambda pipe: tiny.sample(pipe, pag_scale=2.0)),
    ],
    ids=["FreeU", "LoRA", "IP-Adapter", "PAG"],
)
def test_additions(make, run):
    check_same_input(make(), run)
    check_interval_one(make, run)
    check_fresh(make, run, PLAN)


def test_lora_loaded_after_accelerate():
    pipe = tiny.small()
    accelerate(pipe, PLAN)
    tiny.sample(pipe)
    torch.manual_seed(2)
    pipe.unet.add_adapter(LoraConfig(r=2, init_lora_weights=False, target_modules=["to_q", "to_k", "conv1"]))
    assert torch.equal(tiny.sample(pipe), cached(with_lora))


def test_lora_unloaded_while_accelerated():
    pipe = with_lora()
    accelerate(pipe, PLAN)
    tiny.sample(pipe)
    pipe.unload_lora_weights()
    assert torch.equal(tiny.sample(pipe), cached())


def test_layer_exchanged_after_accelerate():
    pipe, other = tiny.small(), tiny.small()
    for each in (pipe, other):
        with torch.no_grad():
            torch.manual_seed(4)
            layer = tiny.small_unet().up_blocks[-1].resnets[-1]
            layer.conv1.weight.normal_()
        if each is pipe:
            accelerate(pipe, PLAN)
            tiny.sample(pipe)
        each.unet.up_blocks[-1].resnets[-1] = layer
    accelerate(other, PLAN)
    assert torch.equal(tiny.sample(pipe), tiny.sample(other))
