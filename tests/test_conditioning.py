"""A feature belongs to the conditioning that it was computed with."""

import copy
import functools
import logging
import threading
from collections import UserDict, deque
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from diffusers.training_utils import EMAModel
from peft import IA3Config, LoraConfig, OFTConfig
from torch import nn
from torch.nn.utils import parametrize, prune

from mmcache import Hold, Plan, StepMask, Taylor, Uniform, accelerate
from mmcache.engine.conditioning import Conditionings
from mmcache.engine.lanes import Lane, Origin
from mmcache.engine.leaves import conditioning_of, gather
from mmcache.engine.settling import MOST_STEPS, moves_on_a_line
from mmcache.plans.forecast import Observation
from mmcache_demos import load_miniature
from mmcache_demos.benchmarks import prompt_change
from tests import tiny
from tests.zoo import controlnet


def sample_with(pipe, change, at=3, given=(), **more):
    """A run in which a callback changes something behind step `at`; it is given the latents, and more."""

    def callback(pipe, step, timestep, tensors):
        return change(pipe, tensors) or tensors if step == at else tensors

    names = ["latents", *given]
    return tiny.sample(pipe, callback_on_step_end=callback, callback_on_step_end_tensor_inputs=names, **more)


def another(pipe, tensors):
    tensors["prompt_embeds"] = tensors["prompt_embeds"].flip(0)


def written(pipe, tensors):
    tensors["prompt_embeds"].mul_(1.5)


def written_as_data(pipe, tensors):
    tensors["prompt_embeds"].data.mul_(1.5)


def other_data(pipe, tensors):
    tensors["prompt_embeds"].data = tensors["prompt_embeds"].data.flip(0)


def written_by_numpy(pipe, tensors):
    tensors["prompt_embeds"].numpy()[:] *= 1.5


def longer(pipe, tensors):
    tensors["prompt_embeds"] = torch.cat([tensors["prompt_embeds"]] * 2, 1)


def equal(pipe, tensors):
    tensors["prompt_embeds"] = tensors["prompt_embeds"].clone()


def freeu(pipe, tensors):
    pipe.enable_freeu(s1=0.9, s2=0.2, b1=1.4, b2=1.6)


def nothing(pipe, tensors):
    pass


@pytest.mark.parametrize(
    ("change", "given", "steps"),
    [
        (another, ["prompt_embeds"], "FF0FFFF00F"),
        (longer, ["prompt_embeds"], "FF0FFFF00F"),
        (written, ["prompt_embeds"], "FF0FFFF00F"),
        (written_as_data, ["prompt_embeds"], "FF0FFFF00F"),
        (other_data, ["prompt_embeds"], "FF0FFFF00F"),
        (written_by_numpy, ["prompt_embeds"], "FF0FFFF00F"),
        (equal, ["prompt_embeds"], "FF0F00F00F"),
        (nothing, ["prompt_embeds"], "FF0F00F00F"),
        (freeu, [], "F00FFFF00F"),
        (nothing, [], "F00F00F00F"),
    ],
)
def test_the_step_at_which_the_conditioning_changes_is_full(change, given, steps):
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    sample_with(pipe, change, given=given)
    assert tiny.steps_of(session) == steps
    noted = [note.kind for note in session.report().notes]
    assert ("conditioning_changed" in noted) == (change not in (equal, nothing))
    assert ("paired_steps" in noted) == bool(given)


@pytest.mark.parametrize(
    ("policy", "steps"),
    [
        (Uniform(3), "FF0FF0F00F00F00"),
        (Uniform(2), "FFF0F0F0F0F0F0F"),
        (Uniform(6), "FF0000F00000F00"),
        (Uniform(1), "FFFFFFFFFFFFFFF"),
        (StepMask([0, 1, 3, 4, 9]), "FF0FF0000F00000"),
    ],
    ids=str,
)
def test_full_steps_are_paired_early_where_a_callback_may_exchange_the_prompt(policy, steps):
    pipe = tiny.small()
    session = accelerate(pipe, Plan(policy, Hold()))
    sample_with(pipe, nothing, given=["prompt_embeds"], num_inference_steps=15)
    assert tiny.steps_of(session) == steps


def every_weight(write):
    def change(pipe, tensors):
        with torch.no_grad():
            for weight in pipe.unet.parameters():
                write(weight)

    return change


def other_weights(pipe, tensors):
    pipe.unet.load_state_dict({name: weight * 1.1 for name, weight in pipe.unet.state_dict().items()})


def moving_average(pipe, tensors):
    average = EMAModel(pipe.unet.parameters())
    average.shadow_params = [weight * 1.1 for weight in average.shadow_params]
    average.copy_to(pipe.unet.parameters())


def deep_layer(pipe):
    return pipe.unet.mid_block.resnets[0].conv1


def halve(pipe, tensors):
    parametrize.register_parametrization(deep_layer(pipe), "weight", torch.nn.Dropout(0.5).eval())


def prune_half(pipe, tensors):
    prune.l1_unstructured(deep_layer(pipe), "weight", amount=0.5)


def exchange(pipe, tensors):
    pipe.unet.mid_block.resnets[0].nonlinearity = torch.nn.ReLU()


def write_one(pipe, tensors):
    with torch.no_grad():
        deep_layer(pipe).weight.mul_(1.5)


def write_a_bias(pipe, tensors):
    with torch.no_grad():
        deep_layer(pipe).bias.add_(1)


WEIGHTS = {
    "bias written": write_a_bias,
    "written": every_weight(lambda weight: weight.mul_(1.1)),
    "written as data": every_weight(lambda weight: weight.data.mul_(1.1)),
    "other data": every_weight(lambda weight: setattr(weight, "data", weight.data * 1.1)),
    "other checkpoint": other_weights,
    "moving average": moving_average,
    "parametrized": halve,
    "pruned": prune_half,
    "other layer": exchange,
    "one written": write_one,
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_step_at_which_a_callback_changes_weights_is_full(name):
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    sample_with(pipe, WEIGHTS[name])
    assert tiny.steps_of(session) == "F00FFFF00F"


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_change_in_a_loop_make_the_step_full(name):
    unet = tiny.small_unet()
    text = tiny.embeddings()["prompt_embeds"]

    def text_at(step):
        if step == 4:
            WEIGHTS[name](SimpleNamespace(unet=unet), None)
        return text

    assert tiny.steps_of(own_loop(unet, text_at)) == "F00FFFF00F"


def test_the_scale_of_a_lora_is_conditioning():
    pipe = tiny.small()
    pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False), "one")
    session = accelerate(pipe, interval=3)
    sample_with(pipe, lambda pipe, tensors: pipe.unet.set_adapters(["one"], [0.3]))
    assert tiny.steps_of(session) == "F00FFFF00F"


def own_loop(unet, text_at, latent_at=lambda step, x: x):
    scheduler = tiny.ddim()
    session = accelerate(unet, interval=3, forecast=Hold(), scheduler=scheduler)
    scheduler.set_timesteps(tiny.STEPS)
    x = torch.randn(1, 4, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for step, time in enumerate(scheduler.timesteps):
            noise = unet(latent_at(step, x), time, encoder_hidden_states=text_at(step)).sample
            x = scheduler.step(noise, time, x).prev_sample
    return session


def test_a_prompt_that_is_rebuilt_at_every_step_stays_cached():
    text, no_text = tiny.embeddings().values()
    session = own_loop(tiny.small_unet(), lambda step: torch.cat([text[:, :3], no_text[:, 3:]], 1))
    assert tiny.steps_of(session) == "F00F00F00F"


def test_a_buffer_that_is_filled_at_every_step_stays_cached_behind_the_second():
    text, buffer = tiny.embeddings()["prompt_embeds"], torch.empty(1, 5, 16)
    session = own_loop(tiny.small_unet(), lambda step: buffer.copy_(text))
    assert tiny.steps_of(session) == "FFFF00F00F"


def test_a_mask_beside_the_latent_is_conditioning():
    masks = [torch.zeros(1, 1, tiny.SIZE, tiny.SIZE), torch.ones(1, 1, tiny.SIZE, tiny.SIZE)]
    text = tiny.embeddings()["prompt_embeds"]

    def run(changes):
        def beside(step, x):
            return torch.cat([x, masks[int(changes and step >= 4)]], 1)

        return tiny.steps_of(own_loop(tiny.small_unet(in_channels=5), lambda step: text, beside))

    assert run(changes=False) == "F00F00F00F"
    assert run(changes=True) == "F00FFFF00F"


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_what_is_written_in_place_is_another_conditioning(mode):
    with mode():
        known, tensor, scale = Conditionings(), torch.ones(2, 3), 0.5
        first = known.number_of([tensor, scale])
        assert known.number_of([tensor, scale]) == first
        assert known.number_of([tensor.clone(), scale]) == first
        tensor.add_(1)
        assert known.number_of([tensor, scale]) != first
        assert known.number_of([tensor, 0.25]) != first


class Bag:
    """An object of somebody's own among the arguments of a call."""

    def __init__(self, scale):
        self.scale = scale


class Scaling(AttnProcessor2_0):
    """An attention processor that only computes, with a strength that is set from outside."""

    computes_only = True

    def __init__(self):
        super().__init__()
        self.strength = 1.0

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, bag=None, **more):
        scale = bag["scale"] if isinstance(bag, UserDict) else getattr(bag, "scale", 1.0)
        more = {name: value for name, value in more.items() if name in ("attention_mask", "temb")}
        return super().__call__(attn, hidden_states, encoder_hidden_states, **more) * (self.strength * scale)


def scaling_pipe():
    pipe = tiny.small()
    pipe.unet.set_attn_processor(Scaling())
    return pipe


class Slotted:
    __slots__ = ("scale",)

    def __init__(self, scale):
        self.scale = scale


class Called(Bag):
    def __call__(self):
        return self.scale


class Deep:
    """An object in an object in an object."""

    def __init__(self, scale):
        self.first = Bag(Bag(Bag(Bag(scale))))
        self.first.owner = self

    @property
    def innermost(self):
        return self.first.scale.scale.scale

    @property
    def scale(self):
        return self.innermost.scale

    @scale.setter
    def scale(self, scale):
        self.innermost.scale = scale


BAGS = [Bag(1.0), UserDict(scale=1.0), Bag(np.ones(1, "float32")), Slotted(1.0), Called(1.0), Deep(1.0)]


@pytest.mark.parametrize("bag", BAGS, ids=lambda bag: type(bag).__name__)
@pytest.mark.parametrize("how", ["another", "written", "equal"])
def test_objects_that_nobody_knows_are_told_by_what_they_hold(bag, how):
    bag = copy.deepcopy(bag)
    given = {"bag": bag}

    def change(pipe, tensors):
        target = given["bag"] = bag if how == "written" else copy.deepcopy(bag)
        pipe._cross_attention_kwargs = given
        if how == "equal":
            return
        if isinstance(target, UserDict):
            target["scale"] = 0.3
        elif isinstance(target.scale, np.ndarray):
            target.scale[:] = 0.3
        else:
            target.scale = 0.3

    pipe = scaling_pipe()
    session = accelerate(pipe, interval=3)
    sample_with(pipe, change, cross_attention_kwargs=given)
    assert tiny.steps_of(session) == ("F00F00F00F" if how == "equal" else "F00FFFF00F")


def refilled(container, value):
    container.clear()
    getattr(container, "add", getattr(container, "append", None))(value)


@pytest.mark.parametrize("kind", [deque, set, bytearray])
def test_containers_of_every_kind_are_told_by_what_they_hold(kind):
    container = kind([1])
    before = gathered(container)
    assert gathered(container) == before
    refilled(container, 3)
    assert gathered(container) != before


def gathered(value):
    leaves = []
    gather(value, leaves)
    return leaves


@pytest.mark.parametrize(
    "make",
    [
        lambda scale: functools.partial(print, scale),
        lambda scale: Called(scale).__call__,
        lambda scale: lambda: scale,
        lambda scale: {"a": scale, "b": [scale, (scale,)]},
    ],
    ids=["partial", "method", "closure", "dict"],
)
def test_functions_are_told_by_what_they_have_bound(make):
    scale = [1.0]
    value = make(scale)
    before = gathered(value)
    assert gathered(value) == before
    scale[0] = 0.3
    assert gathered(value) != before


def test_what_refers_to_itself_ends():
    bag = Bag(1.0)
    bag.own, everything = bag, [bag]
    everything.append(everything)
    assert 1.0 in gathered(everything)


def test_models_locks_and_loggers_are_told_by_themselves():
    for value in (nn.Linear(1, 1), threading.Lock(), logging.getLogger("any"), print, Bag):
        assert gathered(value) == [value]


def dropout(pipe, tensors):
    pipe.unet.train()


def seamless(pipe, tensors):
    for layer in pipe.unet.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = "circular"


def stronger(pipe, tensors):
    for processor in pipe.unet.attn_processors.values():
        processor.strength = 0.4


def own_attribute(pipe, tensors):
    pipe.unet.high_resolution = True


@pytest.mark.parametrize(
    "change",
    [dropout, seamless, stronger, own_attribute],
    ids=lambda f: f.__name__,
)
def test_what_is_done_to_the_model_itself_is_as_another_conditioning(change):
    pipe = scaling_pipe()
    pipe.unet.high_resolution = False
    session = accelerate(pipe, interval=3)
    sample_with(pipe, change)
    assert tiny.steps_of(session) == "F00FFFF00F"
    assert "conditioning_changed" in [note.kind for note in session.report().notes]


ADAPTERS = {
    "LoRA": (lambda: LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False)),
    "IA3": lambda: IA3Config(target_modules=["to_k"], feedforward_modules=[]),
    "OFT": lambda: OFTConfig(r=0, oft_block_size=4, target_modules=["to_q"], init_weights=False),
}


def disabled(unet):
    unet.disable_adapters()


def unloaded(unet):
    unet.unload_lora()


def trained_adapter(unet):
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if "lora_" in name or "ia3_" in name or "oft_" in name:
                weight.mul_(2)


@pytest.mark.parametrize("change", [disabled, unloaded, trained_adapter], ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", ADAPTERS)
def test_adapters_of_every_kind_are_seen(kind, change):
    pipe = tiny.small()
    pipe.unet.add_adapter(ADAPTERS[kind](), "one")
    session = accelerate(pipe, interval=3)
    sample_with(pipe, lambda pipe, tensors: change(pipe.unet))
    assert tiny.steps_of(session) == "F00FFFF00F"


def test_autocast_that_begins_or_ends_is_as_another_conditioning():
    unet, text = tiny.small_unet(), tiny.embeddings()["prompt_embeds"]

    def prepared(step, x):
        torch.set_autocast_enabled("cpu", step < 4)
        return x

    with torch.autocast("cpu", torch.bfloat16):
        session = own_loop(unet, lambda step: text, prepared)
    assert tiny.steps_of(session) == "F00FFFF00F"


def heavier(controlnet):
    with torch.no_grad():
        for weight in controlnet.parameters():
            weight.mul_(1.5)


def test_weights_of_a_controlnet_are_conditioning():
    pipe = controlnet.one()
    session = accelerate(pipe, interval=3)

    def callback(pipe, step, timestep, tensors):
        if step == 3:
            heavier(pipe.controlnet)
        return tensors

    controlnet.sample(pipe, True, callback_on_step_end=callback)
    assert tiny.steps_of(session)[:5] == "F00FF"


def exchanged(step, seed):
    """The PSNR to the full run, of ways to generate an image whose prompt changes."""
    pipe = load_miniature()
    pipe.set_progress_bar_config(disable=True)
    return {name: way.psnr[0] for name, way in prompt_change.compared(pipe, [step], [seed]).items()}


@pytest.fixture(scope="module")
def exchanged_late():
    """Where the denoiser turns to the new prompt slowly."""
    return exchanged(20, 5)


def test_an_early_error_costs_the_image_whose_prompt_changes_and_pairs_of_full_steps_avoid_it():
    found = exchanged(8, 0)
    assert found[prompt_change.CACHED] > found[prompt_change.NO_PAIRS] + 10


def test_behind_another_prompt_images_lose_no_more_than_in_runs_that_are_full_from_there(exchanged_late):
    assert exchanged_late[prompt_change.CACHED] > exchanged_late[prompt_change.FULL_BEHIND] - 1


def test_features_that_have_not_settled_behind_another_prompt_cost_the_image(exchanged_late):
    """The law above would hold of a denoiser that does not turn at all; this one does."""
    assert exchanged_late[prompt_change.ONE_FULL_STEP] < exchanged_late[prompt_change.CACHED] - 8


@pytest.mark.parametrize("plan", [Hold(), Taylor(1), Taylor(1, repaid=0.5), Taylor(2, checked=True)])
def test_a_lane_is_full_behind_a_change_until_its_features_move_on_a_line(plan):
    lane = Lane(Origin(form="any"), unsettled_until=9)
    for step, value in enumerate([0.0, 1.0, 1.5, -2.0, -5.7]):
        assert lane.usable(0, step) is None
        lane.keep(0, 10.0 - step, (torch.full((2, 3), value),), plan)
    assert lane.usable(0, 5) == 0
    assert len(lane.observations[0]) == plan.memory


def test_features_that_never_move_on_a_line_are_used_behind_eight_steps():
    lane = Lane(Origin(form="any"), unsettled_until=MOST_STEPS)
    for step in range(MOST_STEPS + 1):
        assert lane.usable(0, step) is None
        lane.keep(0, float(-step), (torch.full((1, 1), (-1.0) ** step),), Taylor(1))
    assert lane.usable(0, MOST_STEPS + 1) == 0


def test_a_sample_that_turns_keeps_its_batch_unsettled():
    steady, turning = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[1.0], [2.0], [-3.0]])
    first, second, now = torch.stack([steady, turning], dim=1)
    past = [Observation(0.0, (first,)), Observation(1.0, (second,))]
    alone = [Observation(0.0, (first[:1],)), Observation(1.0, (second[:1],))]
    assert not moves_on_a_line(past, 2.0, (now,))
    assert moves_on_a_line(alone, 2.0, (now[:1],))
    assert not moves_on_a_line(alone[1:], 2.0, (now[:1],))


def test_objects_that_refer_to_each_other_are_looked_into_once():
    bags = [Bag(float(number)) for number in range(12)]
    for bag in bags:
        bag.others = bags
    assert len(conditioning_of({"bag": bags[0]}, ())) < 12 * 20
