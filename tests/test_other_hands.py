"""What others do to a denoiser beside mmcache: hooks on deep layers, other caches, forwards of their own."""

import functools

import diffusers.hooks as hooks
import pytest
import torch
from diffusers import PixArtSigmaPipeline, UNet2DConditionModel
from torch import nn

from mmcache import UnsupportedPipelineError, accelerate
from mmcache.caller import MmcacheWarning
from mmcache.patching.endless_arguments import is_endless
from tests import tiny
from tests.zoo import controlnet
from tests.zoo.transformers import flux, pixart

FULL = "F" * tiny.STEPS
CACHED = "F00F00F00F"


def after(module: nn.Module, seen: list) -> None:
    module.register_forward_hook(lambda module, args, output: seen.append(1))


def before(module: nn.Module, seen: list) -> None:
    module.register_forward_pre_hook(lambda module, args: seen.append(1))


def replaced(module: nn.Module, seen: list) -> None:
    inner = module.forward

    def forward(*args, **kwargs):
        seen.append(1)
        return inner(*args, **kwargs)

    module.forward = forward


def hidden(module: nn.Module, seen: list) -> None:
    """A forward that says it is the one that it wraps."""
    inner = module.forward

    @functools.wraps(inner)
    def forward(*args, **kwargs):
        seen.append(1)
        return inner(*args, **kwargs)

    module.forward = forward


@pytest.mark.parametrize("put", [after, before, replaced, hidden])
@pytest.mark.parametrize("deep", ["mid_block", "up_blocks.0.resnets.1", "down_blocks.1.resnets.0.conv1"])
def test_what_people_put_on_deep_layers_runs_at_every_step(put, deep):
    pipe, seen = tiny.small(), []
    put(pipe.unet.get_submodule(deep), seen)
    session = accelerate(pipe, interval=3)
    with pytest.warns(UserWarning, match="every step"):
        tiny.sample(pipe)
    assert len(seen) == tiny.STEPS
    assert tiny.steps_of(session) == FULL
    assert [note.kind for note in session.report().notes] == ["every_step_full"]


def test_a_hook_on_all_modules_runs_at_every_step():
    seen = []
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    handle = torch.nn.modules.module.register_module_forward_hook(lambda *call: seen.append(call[0]))
    try:
        tiny.sample(pipe)
    finally:
        handle.remove()
    assert seen.count(pipe.unet.mid_block) == tiny.STEPS
    assert tiny.steps_of(session) == "F" * tiny.STEPS


def test_hooks_on_layers_that_stay_change_nothing():
    pipe, seen = tiny.small(), []
    after(pipe.unet.conv_in, seen)
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe)
    assert len(seen) == tiny.STEPS
    assert tiny.steps_of(session) == CACHED


def test_a_hook_that_is_taken_off_gives_the_savings_back():
    pipe = tiny.small()
    handle = pipe.unet.mid_block.register_forward_hook(lambda module, args, output: None)
    session = accelerate(pipe, interval=3)
    with pytest.warns(UserWarning, match="every step"):
        tiny.sample(pipe)
    handle.remove()
    tiny.sample(pipe)
    assert tiny.steps_of(session) == CACHED


APPLIED = {
    "FirstBlockCache": lambda model: hooks.apply_first_block_cache(
        model, hooks.FirstBlockCacheConfig(threshold=0.5)
    ),
    "PyramidAttentionBroadcast": lambda model: hooks.apply_pyramid_attention_broadcast(
        model,
        hooks.PyramidAttentionBroadcastConfig(
            spatial_attention_block_skip_range=2,
            spatial_attention_timestep_skip_range=(0, 1000),
            current_timestep_callback=lambda: 500,
        ),
    ),
    "MagCache": lambda model: hooks.apply_mag_cache(
        model, hooks.MagCacheConfig(num_inference_steps=12, mag_ratios=[1.0] * 12)
    ),
    "TaylorSeerCache": lambda model: hooks.apply_taylorseer_cache(model, hooks.TaylorSeerCacheConfig()),
}


@pytest.mark.parametrize("name", APPLIED)
def test_caches_that_a_function_puts_on_are_refused_by_name(name):
    model = flux.transformer()
    APPLIED[name](model)
    with pytest.raises(UnsupportedPipelineError, match=name):
        accelerate(model, interval=2)
    assert "forward" not in vars(model) or not hasattr(vars(model)["forward"], "around")


def test_deepcaches_helper_is_refused_before_and_has_its_way_after():
    deepcache = pytest.importorskip("DeepCache")
    pipe = tiny.small()
    helper = deepcache.DeepCacheSDHelper(pipe=pipe)
    helper.set_params(cache_interval=3, cache_branch_id=0)
    helper.enable()
    with pytest.raises(UnsupportedPipelineError, match="DeepCache"):
        accelerate(pipe, interval=3)
    helper.disable()
    tiny.sample(pipe)


class Shrinking(UNet2DConditionModel):
    """Passes the middle at half the size at early steps, which the class's own forward never does."""

    def forward(self, sample, timestep, encoder_hidden_states, return_dict=True, **more):
        early = float(torch.as_tensor(timestep).max()) > 500
        size = sample.shape[-2:]
        seen = nn.functional.interpolate(sample, scale_factor=0.5) if early else sample
        out = super().forward(seen, timestep, encoder_hidden_states, return_dict=False, **more)[0]
        return (nn.functional.interpolate(out, size=size),)


class Twice(UNet2DConditionModel):
    """Calls the class's forward twice, so that the deep part runs twice a step."""

    def forward(self, sample, timestep, encoder_hidden_states, return_dict=True, **more):
        once = super().forward(sample, timestep, encoder_hidden_states, return_dict=False, **more)[0]
        return super().forward(once, timestep, encoder_hidden_states, return_dict=False, **more)


def with_unet(kind):
    pipe = tiny.small()
    torch.manual_seed(0)
    pipe.unet = kind(**tiny.SHAPE | tiny.SMALL).eval()
    return pipe


@pytest.mark.parametrize("kind", [Shrinking, Twice])
@pytest.mark.parametrize("branch", [0, 3])
def test_a_subclass_with_a_forward_of_its_own_is_right_or_full_and_never_crashes(kind, branch):
    pipe = with_unet(kind)
    plain = tiny.sample(pipe)
    try:
        session = accelerate(pipe, interval=3, branch=branch)
        result = tiny.sample(pipe)
    except UnsupportedPipelineError:
        return
    letters = tiny.steps_of(session)
    if set(letters) == {"F"}:
        assert torch.equal(result, plain)
        assert "every_step_full" in {note.kind for note in session.report().notes}
    else:
        assert (result - plain).norm() < 0.5 * plain.norm()


def test_a_subclass_without_one_is_cached_as_its_class():
    class Named(UNet2DConditionModel):
        pass

    pipe = with_unet(Named)
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe)
    assert tiny.steps_of(session) == CACHED


def test_multiply_adds_that_cannot_be_counted_are_said_to_be_unknown():
    class Looks(UNet2DConditionModel):
        """What it computes depends on the values of its input, which shapes do not tell."""

        def forward(self, sample, timestep, encoder_hidden_states, return_dict=True, **more):
            if float(sample.sum()) > 1e9:
                raise ValueError
            return super().forward(sample, timestep, encoder_hidden_states, return_dict=False, **more)

    pipe = with_unet(Looks)
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe)
    report = session.report()
    kinds = [note.kind for note in report.notes]
    assert ("macs_unknown" in kinds) == (report.denoisers[0].macs is None)
    assert "macs_unknown" in kinds


@pytest.mark.parametrize("deep", ["mid_block", "mid_block.resnets.0.conv2", "up_blocks.0.resnets.1"])
def test_a_forward_that_is_replaced_in_mid_run_runs_at_every_step_from_then_on(deep):
    pipe, seen = tiny.small(), []
    session = accelerate(pipe, interval=3)

    def callback(pipe, step, timestep, tensors):
        if step == 3:
            replaced(pipe.unet.get_submodule(deep), seen)
        return tensors

    with pytest.warns(UserWarning, match="every step"):
        tiny.sample(pipe, callback_on_step_end=callback)
    assert len(seen) == 6
    assert tiny.steps_of(session) == "F00FFFFFFF"


@pytest.mark.parametrize("put", [after, before, replaced])
def test_what_people_put_on_a_controlnet_runs_at_every_step(put):
    pipe, seen = controlnet.one(), []
    session = accelerate(pipe, interval=3)
    put(pipe.controlnet.mid_block, seen)
    controlnet.sample(pipe, True)
    assert len(seen) == len(session.report().denoisers[0].steps)
    assert "0" in tiny.steps_of(session)
    notes = {note.kind: note for note in session.report().notes}
    assert "may be read" in notes["side_network_whole"]


@pytest.mark.parametrize("name", ["FirstBlockCache", "PyramidAttentionBroadcast", "MagCache"])
def test_caches_that_a_function_puts_on_in_mid_run_are_refused_by_name(name):
    pipe = pixart.build(PixArtSigmaPipeline)
    accelerate(pipe, interval=2)

    def callback(step, timestep, latents):
        if step == 1:
            APPLIED[name](pipe.transformer)

    with pytest.raises(UnsupportedPipelineError, match=name):
        pixart.sample(pipe, True, callback=callback, callback_steps=1)


@pytest.mark.parametrize("left", [0, 1, 2])
def test_blocks_that_are_taken_out_in_mid_run_make_the_rest_of_it_full(left):
    def run(pipe):
        blocks = list(pipe.transformer.transformer_blocks)

        def callback(step, timestep, latents):
            if step == 1:
                pipe.transformer.transformer_blocks = nn.ModuleList(blocks[:left])

        image = pixart.sample(pipe, True, callback=callback, callback_steps=1)
        pipe.transformer.transformer_blocks = nn.ModuleList(blocks)
        return torch.as_tensor(image)

    plain = run(pixart.build(PixArtSigmaPipeline))
    pipe = pixart.build(PixArtSigmaPipeline)
    session = accelerate(pipe, interval=2)
    with pytest.warns(MmcacheWarning, match="taken out"):
        cached = run(pipe)
    assert (cached - plain).norm() < 0.02 * plain.norm()
    assert "every_step_full" in [note.kind for note in session.report().notes]
    pixart.sample(pipe, True)
    assert tiny.steps_of(session) == "F0F0F0", "the blocks are back"


def test_blocks_that_are_taken_out_between_runs_make_the_next_one_full():
    pipe, plain = (pixart.build(PixArtSigmaPipeline) for _ in range(2))
    accelerate(pipe, interval=2)
    pixart.sample(pipe, True)
    for one in (pipe, plain):
        del one.transformer.transformer_blocks[1:]
    assert (torch.as_tensor(pixart.sample(pipe, True)) == torch.as_tensor(pixart.sample(plain, True))).all()


def bound_again(pipe):
    """As cache-dit puts itself on a model, and off again."""
    model = pipe.transformer
    found = model.forward
    model.forward = functools.partial(found)
    model.forward = found.__get__(model)


def test_a_forward_that_was_found_can_be_bound_once_more():
    pipe = pixart.build(PixArtSigmaPipeline)
    session = accelerate(pipe, interval=2)
    before = torch.as_tensor(pixart.sample(pipe, True))
    bound_again(pipe)
    assert (torch.as_tensor(pixart.sample(pipe, True)) == before).all()
    assert tiny.steps_of(session) == "F0F0F0"
    session.restore()
    plain = pixart.sample(pixart.build(PixArtSigmaPipeline), True)
    assert (torch.as_tensor(pixart.sample(pipe, True)) == torch.as_tensor(plain)).all()


def with_cache_dit(pipe):
    cache_dit = pytest.importorskip("cache_dit")
    blocks = pipe.transformer.transformer_blocks
    cache_dit.enable_cache(
        cache_dit.BlockAdapter(
            pipe=pipe,
            transformer=pipe.transformer,
            blocks=blocks,
            forward_pattern=cache_dit.ForwardPattern.Pattern_3,
        ),
        cache_config=cache_dit.DBCacheConfig(Fn_compute_blocks=1, Bn_compute_blocks=0),
    )
    return cache_dit


@pytest.mark.parametrize("in_mid_run", [False, True])
def test_cache_dit_is_refused_whenever_it_comes_and_can_be_taken_off(in_mid_run):
    pipe = pixart.build(PixArtSigmaPipeline)
    session = accelerate(pipe, interval=2)
    before = torch.as_tensor(pixart.sample(pipe, True))
    found = [] if in_mid_run else [with_cache_dit(pipe)]

    def callback(step, timestep, latents):
        if step == 1:
            found.append(with_cache_dit(pipe))

    with pytest.raises(UnsupportedPipelineError, match="cache-dit"):
        pixart.sample(pipe, True, callback=callback, callback_steps=1)
    found[0].disable_cache(pipe)
    assert (torch.as_tensor(pixart.sample(pipe, True)) == before).all()
    assert tiny.steps_of(session) == "F0F0F0"


def test_a_traced_denoiser_is_the_plain_one():
    unet, plain = tiny.small_unet(), tiny.small_unet()
    accelerate(unet, interval=3)
    text = tiny.embeddings()["prompt_embeds"]

    class Call(nn.Module):
        def __init__(self):
            super().__init__()
            self.unet = unet

        def forward(self, sample, timestep):
            return self.unet(sample, timestep, encoder_hidden_states=text, return_dict=False)[0]

    traced = torch.jit.trace(Call(), (torch.randn(1, 4, 8, 8), torch.tensor(900)))
    with torch.no_grad():
        for time in (700, 500, 300):
            sample = torch.randn(1, 4, 8, 8)
            wanted = plain(sample, time, encoder_hidden_states=text).sample
            torch.testing.assert_close(traced(sample, torch.tensor(time)), wanted)


def test_a_forward_with_an_argument_given_beforehand_runs_on_views():
    pipe = tiny.small()
    plain = tiny.sample(pipe)
    pipe.unet.forward = functools.partial(pipe.unet.forward, encoder_attention_mask=None)
    session = accelerate(pipe, interval=3)
    assert 0 < (tiny.sample(pipe) - plain).norm() < 0.06 * plain.norm()
    assert tiny.steps_of(session) == CACHED
    session.restore()
    assert torch.equal(tiny.sample(pipe), plain)


def itself():
    holder = {"scale": 1.0}
    holder["itself"] = holder
    return holder


def without_end():
    chain = []
    for _ in range(3000):
        chain = [chain]
    return chain


@pytest.mark.parametrize("grad", [False, True], ids=["sampled", "differentiated"])
@pytest.mark.parametrize("make", [itself, without_end], ids=lambda f: f.__name__)
def test_an_argument_without_an_end_is_named(make, grad):
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    sample, text = torch.randn(1, 4, 8, 8), tiny.embeddings()["prompt_embeds"]
    with torch.set_grad_enabled(grad), pytest.raises(ValueError, match="cross_attention_kwargs") as raised:
        pipe.unet(sample, 500, encoder_hidden_states=text, cross_attention_kwargs={"own": make()})
    assert len(str(raised.value)) <= 300
    torch.testing.assert_close(tiny.sample(pipe), tiny.cached(), rtol=0, atol=1)
    assert "0" in tiny.steps_of(session)


def test_an_argument_that_is_shared_many_times_is_no_argument_without_an_end():
    value = [1.0]
    for _ in range(60):
        value = [value, value]
    assert not is_endless(value)
    assert is_endless(itself())


def test_a_model_that_never_returns_keeps_its_own_error():
    def calls_itself(module, args):
        return calls_itself(module, args)

    pipe = tiny.small()
    accelerate(pipe, interval=3)
    pipe.unet.mid_block.register_forward_pre_hook(calls_itself)
    with pytest.raises(RecursionError):
        tiny.sample(pipe)
