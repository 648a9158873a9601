"""What breaks others: starts in the middle, early stops, changes midway, offload, compilation."""

import copy
import gc
import itertools
import pickle
import weakref

import accelerate as hf_accelerate
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPAGPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import IPAdapterAttnProcessor
from diffusers.models.embeddings import ImageProjection
from peft import LoraConfig

import mmcache
from mmcache import NonUniform, Plan, Taylor, Uniform, accelerate
from mmcache.clocks.scheduler_clock import SchedulerClock
from mmcache.patching.forward_patch import forward_patches
from mmcache.testing import check_fresh, check_interval_one, check_restore, check_same_input
from tests import tiny

PLAN = Plan(Uniform(3), Taylor(1))


def cached(make=tiny.stable_diffusion, run=tiny.sample, plan=PLAN):
    pipe = make()
    accelerate(pipe, plan)
    return run(pipe)


# Starts in the middle, stops early


def img2img(pipe, strength=0.6, **changes):
    picture = torch.rand(1, 3, 2 * tiny.SIZE, 2 * tiny.SIZE, generator=torch.Generator().manual_seed(5))
    return tiny.sample(pipe, image=picture, strength=strength, **changes)


def inpaint(pipe, strength=0.7, **changes):
    mask = torch.zeros(1, 1, 2 * tiny.SIZE, 2 * tiny.SIZE)
    mask[..., 8:20, 8:20] = 1
    side = {"height": 2 * tiny.SIZE, "width": 2 * tiny.SIZE}
    return img2img(pipe, strength, mask_image=mask, **side, **changes)


@pytest.mark.parametrize(
    ("cls", "run"), [(StableDiffusionImg2ImgPipeline, img2img), (StableDiffusionInpaintPipeline, inpaint)]
)
@pytest.mark.parametrize("sampler", [None, EulerDiscreteScheduler, HeunDiscreteScheduler])
def test_a_run_that_starts_in_the_middle(cls, run, sampler):
    def make():
        scheduler = sampler.from_config(tiny.ddim().config) if sampler else None
        return tiny.stable_diffusion(cls, scheduler)

    check_interval_one(make, run)
    check_fresh(make, run, PLAN, between=lambda pipe: run(pipe, strength=0.9))
    pipe = make()
    session = accelerate(pipe, PLAN)
    run(pipe)
    steps = tiny.steps_of(session)
    assert steps[:7] == "F00F00F"[: len(steps)]
    first = session.report().denoisers[0].steps[0]
    assert first.step == 0
    assert first.time < 700  # where the sampler is, not where its table begins
    assert session.report().denoisers[0].steps[-1].bytes_held == 0


def test_denoising_end_is_the_end_of_the_run():
    pipe = tiny.sdxl()
    session = accelerate(pipe, Plan(Uniform(3, cooldown=1)))
    tiny.sample_sdxl(pipe, denoising_end=0.5)
    assert tiny.steps_of(session) == "F00FF"  # the fifth step is the last, hence the cool-down
    assert session.report().denoisers[0].steps[-1].bytes_held == 0


# Changes during a run and between runs


@pytest.mark.parametrize(
    ("after", "steps", "cache_miss"),
    [
        (4, "F000FF00F0", [5]),  # step 5 cannot use what a batch of two left
        (3, "F000F000F0", []),  # step 4 is full anyway, and must not extrapolate over the change
    ],
)
def test_guidance_switched_off_midway(after, steps, cache_miss):
    def off(pipe, step, timestep, tensors):
        if step == after:
            pipe._guidance_scale = 1.0
            tensors["prompt_embeds"] = tensors["prompt_embeds"].chunk(2)[-1]
        return tensors

    def run(pipe):
        options = {"callback_on_step_end": off, "callback_on_step_end_tensor_inputs": ["prompt_embeds"]}
        return tiny.sample(pipe, **options)

    check_interval_one(tiny.stable_diffusion, run)
    pipe = tiny.stable_diffusion()
    session = accelerate(pipe, interval=4, forecast=Taylor(1))
    run(pipe)
    assert tiny.steps_of(session) == steps
    assert [step.step for step in session.report().denoisers[0].steps if step.cache_miss] == cache_miss


@pytest.mark.parametrize(
    "between",
    [
        {"batch": 3},
        {"num_inference_steps": 30},
        {"height": 48, "width": 40},
        {"num_inference_steps": 4},
        {"guidance_scale": 1.0},
        {"eta": 1.0},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:4 steps")
def test_another_kind_of_call_between_two_calls(between):
    check_fresh(tiny.stable_diffusion, tiny.sample, PLAN, lambda pipe: tiny.sample(pipe, **between))


def test_scheduler_replaced_after_accelerate():
    def make():
        return tiny.stable_diffusion(scheduler=EulerDiscreteScheduler.from_config(tiny.ddim().config))

    wanted = cached(make)
    pipe = tiny.stable_diffusion()
    old = pipe.scheduler
    session = accelerate(pipe, PLAN)
    tiny.sample(pipe)
    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    assert torch.equal(tiny.sample(pipe), wanted)
    assert torch.equal(tiny.sample(pipe), wanted)
    assert type(old) is DDIMScheduler  # no longer watched
    session.restore()
    assert type(pipe.scheduler) is EulerDiscreteScheduler


def test_scheduler_made_from_the_watched_one_is_plain():
    pipe = tiny.stable_diffusion()
    wanted = cached()
    session = accelerate(pipe, PLAN)
    made = type(pipe.scheduler).from_config(pipe.scheduler.config)
    copied = copy.deepcopy(pipe.scheduler)
    pickled = pickle.loads(pickle.dumps(pipe.scheduler))
    for other in (made, copied, pickled):
        assert type(other) is DDIMScheduler
        other.set_timesteps(3)
    assert torch.equal(tiny.sample(pipe), wanted)
    assert type(pipe.scheduler).__name__ == "DDIMScheduler"
    session.restore()


def test_copies_of_an_accelerated_pipe_are_plain():
    plain = tiny.sample(tiny.stable_diffusion())
    pipe = tiny.stable_diffusion()
    session = accelerate(pipe, PLAN)
    wanted = tiny.sample(pipe)
    unet = copy.deepcopy(pipe.unet)
    assert not forward_patches(unet)
    assert torch.equal(tiny.sample(copy.deepcopy(pipe)), plain)
    assert torch.equal(tiny.sample(pipe), wanted)
    assert session.active


def test_saved_while_accelerated(tmp_path):
    pipe = tiny.stable_diffusion()
    accelerate(pipe, PLAN)
    pipe.unet.save_pretrained(tmp_path / "unet")
    pipe.scheduler.save_pretrained(tmp_path / "scheduler")
    unet = UNet2DConditionModel.from_pretrained(tmp_path / "unet")
    assert list(unet.state_dict()) == list(tiny.unet().state_dict())
    assert isinstance(DDIMScheduler.from_pretrained(tmp_path / "scheduler"), DDIMScheduler)


@pytest.mark.parametrize("first", [0, 1])
def test_pipelines_that_share_everything_are_restored_in_any_order(first):
    pipe = tiny.stable_diffusion()
    other = StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    sessions = [accelerate(pipe, PLAN), accelerate(other, PLAN)]
    wanted = cached()
    assert torch.equal(tiny.sample(pipe), wanted)
    sessions[first].restore()
    if first == 1:
        assert torch.equal(tiny.sample(pipe), wanted)
    sessions[1 - first].restore()
    assert type(pipe.scheduler) is DDIMScheduler
    assert "forward" not in vars(pipe.unet)
    assert torch.equal(tiny.sample(pipe), tiny.sample(tiny.stable_diffusion()))


def test_unet_replaced_after_accelerate():
    pipe, old = tiny.stable_diffusion(), tiny.unet()
    pipe.unet = old
    session = accelerate(pipe, PLAN)
    pipe.unet = tiny.unet()
    assert "unet was replaced" in str(session.report())
    assert torch.equal(tiny.sample(pipe), cached())  # noticed when the run starts
    assert not forward_patches(old)
    pipe.unet = tiny.unet()
    again = accelerate(pipe, interval=5)
    tiny.sample(pipe)
    assert tiny.steps_of(again) == "F0000F0000"
    pipe.unet = tiny.unet()
    mmcache.restore(pipe)
    assert torch.equal(tiny.sample(pipe), tiny.sample(tiny.stable_diffusion()))


def test_a_pipeline_that_calls_an_inner_one():
    class Combined(StableDiffusionPipeline):
        """As Kandinsky's combined pipelines do it."""

        def __call__(self, **call):
            return StableDiffusionPipeline(**self.components, requires_safety_checker=False)(**call)

    pipe = tiny.stable_diffusion(Combined)
    session = accelerate(pipe, interval=5)
    tiny.sample(pipe)
    assert tiny.steps_of(session) == "F0000F0000"


def test_direct_calls_after_a_run_are_plain_and_leave_nothing():
    pipe = tiny.stable_diffusion()
    session = accelerate(pipe, PLAN)
    tiny.sample(pipe)
    before = len(session.report().denoisers[0].steps)
    call = {"encoder_hidden_states": torch.randn(1, 5, 16)}
    latent = torch.randn(1, 4, 16, 16)
    with torch.no_grad():
        results = [pipe.unet(latent, 500, **call).sample for _ in range(5)]
        assert torch.equal(results[-1], tiny.unet()(latent, 500, **call).sample)
    assert len(session.report().denoisers[0].steps) == before


def test_a_restored_pipe_is_freed_at_once():
    pipe = tiny.stable_diffusion()
    session = accelerate(pipe, PLAN)
    tiny.sample(pipe)
    session.restore()
    unet = weakref.ref(pipe.unet)
    gc.collect()
    gc.disable()
    try:
        del session, pipe
        assert unet() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    def make():
        return tiny.stable_diffusion().to(dtype)

    def run(pipe):
        return tiny.sample(pipe, **{name: tensor.to(dtype) for name, tensor in tiny.embeddings().items()})

    check_same_input(make(), run)
    check_interval_one(make, run)
    check_fresh(make, run, PLAN)


def test_report_after_the_pipe_has_moved_on():
    pipe = tiny.stable_diffusion()
    session = accelerate(pipe, PLAN)
    tiny.sample(pipe)
    pipe.to(torch.bfloat16)
    counted = session.report().denoisers[0].macs
    assert counted == reference_macs()


def reference_macs():
    pipe = tiny.stable_diffusion()
    session = accelerate(pipe, PLAN)
    tiny.sample(pipe)
    return session.report().denoisers[0].macs


def test_pipelines_that_share_a_unet_keep_to_their_own_plans():
    first = tiny.stable_diffusion()
    second = tiny.stable_diffusion(scheduler=EulerDiscreteScheduler.from_config(tiny.ddim().config))
    second.unet = first.unet
    accelerate(first, interval=2)
    alone = tiny.sample(first)
    session = accelerate(second, interval=5)
    of_second = tiny.sample(second)
    assert torch.equal(tiny.sample(first), alone)
    assert torch.equal(tiny.sample(second), of_second)
    assert tiny.steps_of(session) == "F0000F0000"
    mmcache.restore(first)
    assert torch.equal(tiny.sample(second), of_second)
    mmcache.restore(second)
    assert "forward" not in vars(first.unet)


# What people add to a pipeline


def with_freeu():
    pipe = tiny.stable_diffusion()
    pipe.enable_freeu(s1=0.9, s2=0.2, b1=1.2, b2=1.4)
    return pipe


def with_lora():
    pipe = tiny.stable_diffusion()
    torch.manual_seed(2)
    pipe.unet.add_adapter(LoraConfig(r=2, init_lora_weights=False, target_modules=["to_q", "to_k", "conv1"]))
    return pipe


def with_ip_adapter():
    pipe = tiny.stable_diffusion()
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
        unet=tiny.unet(),
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
    pipe = tiny.stable_diffusion()
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
    pipe, other = tiny.stable_diffusion(), tiny.stable_diffusion()
    for each in (pipe, other):
        with torch.no_grad():
            torch.manual_seed(4)
            layer = tiny.unet().up_blocks[-1].resnets[-1]
            layer.conv1.weight.normal_()
        if each is pipe:
            accelerate(pipe, PLAN)
            tiny.sample(pipe)
        each.unet.up_blocks[-1].resnets[-1] = layer
    accelerate(other, PLAN)
    assert torch.equal(tiny.sample(pipe), tiny.sample(other))


def test_calls_with_gradients_run_whole():
    unet = tiny.unet()
    session = accelerate(unet, interval=5)
    latent = torch.randn(1, 4, 16, 16)
    call = {"encoder_hidden_states": torch.randn(1, 5, 16)}
    with torch.no_grad():
        later = latent - 0.1 * unet(latent, 900, **call).sample
    plain = tiny.unet()(latent, 800, **call).sample
    attended = latent.clone().requires_grad_()
    result = unet(attended, 800, **call).sample
    assert torch.equal(result, plain)
    result.sum().backward()
    assert attended.grad.abs().sum() > 0
    with torch.no_grad():
        unet(later, 800, **call)
    assert tiny.steps_of(session) == "F0"  # the differentiated call was no step


# Offload


def model_offload(pipe):
    pipe.enable_model_cpu_offload(device="cpu")


def sequential_offload(pipe):
    """What enable_sequential_cpu_offload does, on the device "cpu": it would ask for "cpu:0", which fails."""
    for model in (pipe.vae, pipe.unet):
        hf_accelerate.cpu_offload(model, torch.device("cpu"))


@pytest.mark.parametrize("offload", [model_offload, sequential_offload])
@pytest.mark.parametrize("when", ["before", "after"])
def test_offload(offload, when):
    wanted = cached()
    plain = tiny.sample(tiny.stable_diffusion())
    pipe = tiny.stable_diffusion()
    if when == "before":
        offload(pipe)
    session = accelerate(pipe, PLAN)
    if when == "after":
        offload(pipe)
    for _ in range(2):  # a pipeline with offload removes and renews its hooks after every call
        assert torch.equal(tiny.sample(pipe), wanted)
    assert tiny.steps_of(session) == "F00F00F00F"
    assert session.report().denoisers[0].macs == reference_macs()
    session.restore()
    assert torch.equal(tiny.sample(pipe), plain)
    pipe.remove_all_hooks()
    assert not forward_patches(pipe.unet)
    assert torch.equal(tiny.sample(pipe), plain)


def test_offload_switched_off_while_accelerated():
    pipe = tiny.stable_diffusion()
    model_offload(pipe)
    session = accelerate(pipe, PLAN)
    tiny.sample(pipe)
    pipe.remove_all_hooks()
    assert torch.equal(tiny.sample(pipe), cached())
    session.restore()
    assert torch.equal(tiny.sample(pipe), tiny.sample(tiny.stable_diffusion()))


def layerwise_casting(pipe):
    pipe.unet.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)


def group_offload(pipe):
    pipe.unet.enable_group_offload(onload_device=torch.device("cpu"), offload_type="leaf_level")


@pytest.mark.parametrize("hook", [layerwise_casting, group_offload])
def test_hooks_of_diffusers(hook):
    def make():
        pipe = tiny.stable_diffusion()
        hook(pipe)
        return pipe

    check_same_input(make(), tiny.sample)
    check_interval_one(make, tiny.sample)
    check_fresh(make, tiny.sample, PLAN)
    pipe = make()
    plain = tiny.sample(pipe)
    session = accelerate(pipe, PLAN)
    cached = tiny.sample(pipe)
    assert session.report().denoisers[0].macs == reference_macs()
    assert torch.equal(tiny.sample(pipe), cached)  # counting has left the model as it was
    session.restore()
    assert torch.equal(tiny.sample(pipe), plain)


# Compilation


SMALL = {
    "block_out_channels": (16, 16),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}


def small():
    return tiny.stable_diffusion(**SMALL)


class Graphs(list):
    """The graphs that were compiled, by a compiler that runs them as they were traced."""

    def backend(self, graph, inputs):
        self.append(graph)
        return graph


@pytest.fixture
def graphs():
    torch._dynamo.reset()
    yield Graphs()
    torch._dynamo.reset()


def wrap(pipe, backend):
    pipe.unet = torch.compile(pipe.unet, backend=backend, fullgraph=True)


def in_place(pipe, backend):
    pipe.unet.compile(backend=backend, fullgraph=True)


@pytest.mark.parametrize("compiled", [wrap, in_place])
@pytest.mark.parametrize("when", ["before", "after"])
def test_compiled_denoiser_holds_two_graphs(compiled, when, graphs):
    wanted, plain = cached(small), tiny.sample(small())
    pipe = small()
    if when == "before":
        compiled(pipe, graphs.backend)
    session = accelerate(pipe, PLAN)
    if when == "after":
        compiled(pipe, graphs.backend)
    for _ in range(2):
        assert torch.equal(tiny.sample(pipe), wanted)
        assert len(graphs) == 2  # full and cached, whatever alternates
    assert session.report().denoisers[0].cached_steps
    session.restore()
    assert torch.equal(tiny.sample(pipe), plain)


def test_compiled_and_used_before_accelerate(graphs):
    """A graph made without taps must not serve a step with taps."""
    pipe = small()
    wrap(pipe, graphs.backend)
    tiny.sample(pipe)
    for branch in (0, 1, (0, 1) * 5):
        with accelerate(pipe, PLAN, branch=branch):
            assert torch.equal(
                tiny.sample(pipe), cached(small, plan=Plan(PLAN.policy, PLAN.forecast, branch))
            )


# Policies that need the end


def test_non_uniform_in_a_run_that_starts_in_the_middle():
    pipe = tiny.stable_diffusion(StableDiffusionImg2ImgPipeline)
    session = accelerate(pipe, Plan(NonUniform(3, center=2)))
    img2img(pipe)
    steps = tiny.steps_of(session)
    assert len(steps) == 6
    assert steps[0] == "F"
    assert steps.count("F") == 2


def test_class_and_signature_stay():
    pipe = tiny.stable_diffusion()
    accelerate(pipe)
    assert type(pipe) is StableDiffusionPipeline
    check_restore(tiny.stable_diffusion, tiny.sample, PLAN)


@pytest.mark.parametrize(
    ("timesteps", "told"),
    [
        (lambda times, step: [times[step]] * 3, True),
        # Frames that are given, without noise and with less noise, stand still.
        (lambda times, step: [0, min(500.5, times[step]), times[step]], True),
        # Diffusion forcing: frames are at several steps at once, so no step is before another.
        (lambda times, step: [times[min(step + frame, len(times) - 1)] for frame in range(3)], False),
    ],
    ids=["all alike", "some given", "forced"],
)
def test_a_time_for_each_frame_tells_the_step_of_those_that_are_drawn(timesteps, told):
    scheduler = DDIMScheduler()
    clock = SchedulerClock(scheduler, itertools.count(1), lambda: None, lambda run, step: None)
    scheduler.set_timesteps(6)
    times = scheduler.timesteps.tolist()
    ticks = []
    for step in range(2):
        ticks.append(clock.tick(torch.tensor([timesteps(times, step)], dtype=torch.float32)))
        scheduler.step(torch.zeros(1, 4), scheduler.timesteps[step], torch.zeros(1, 4))
    clock.release()
    assert [tick is not None for tick in ticks] == [told, told]
