"""One model in several threads: each result is that of the pipeline alone; the live model stays plain."""

import copy
import pickle

import pytest
import torch
from diffusers import PixArtSigmaPipeline

from mmcache import Adaptive, Hold, PipelineInUseError, Plan, StepMask, Taylor, Uniform, accelerate
from mmcache.testing import check_shared, check_untouched
from mmcache.testing.live_model_laws import in_threads, shared
from tests import tiny
from tests.zoo import controlnet
from tests.zoo.transformers import pixart

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little")

THIRD = Plan(Uniform(3), Taylor(1))
OTHERS = [
    Plan(Uniform(2), Hold(), branch=3),
    Plan(Adaptive(0.2), Taylor(1), branch=1),
    Plan(StepMask([0, 5])),
]


def controlled(pipe):
    return controlnet.sample(pipe, True)


def transformer():
    return pixart.build(PixArtSigmaPipeline)


def sample_transformer(pipe):
    return torch.as_tensor(pixart.sample(pipe, True))


@pytest.mark.parametrize(
    ("make", "sample"),
    [(tiny.small, tiny.sample), (controlnet.one, controlled), (transformer, sample_transformer)],
    ids=["U-Net", "ControlNet", "transformer"],
)
@pytest.mark.parametrize("branch", [0, 1])
def test_the_live_model_is_untouched_during_a_call(make, sample, branch):
    check_untouched(make(), sample, Plan(Uniform(2), Taylor(1), branch))


@pytest.mark.parametrize(
    "plans",
    [[THIRD] * 3, [THIRD, *OTHERS], [THIRD, None, None], [THIRD, None, OTHERS[0]]],
    ids=["same plan", "different plans", "with plain", "mixture"],
)
def test_pipelines_that_share_a_denoiser_give_what_each_gives_alone(plans):
    check_shared(tiny.small, tiny.sample, plans)


def test_pipelines_that_share_a_controlnet_give_what_each_gives_alone():
    check_shared(controlnet.one, controlled, [THIRD, OTHERS[0], None])


def test_pipelines_that_share_a_transformer_give_what_each_gives_alone():
    check_shared(
        transformer, sample_transformer, [Plan(Uniform(2), branch=0), None, Plan(Uniform(2), branch=1)]
    )


def loop(unet, scheduler, seed):
    """Someone's own loop over a denoiser."""
    latent = torch.randn(1, 4, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(seed))
    text = tiny.embeddings()["prompt_embeds"]
    scheduler.set_timesteps(tiny.STEPS)
    with torch.no_grad():
        for timestep in scheduler.timesteps:
            latent = scheduler.step(unet(latent, timestep, text).sample, timestep, latent).prev_sample
    return latent


@pytest.mark.parametrize("with_scheduler", [True, False])
def test_a_bare_denoiser_beside_plain_and_accelerated_pipelines(with_scheduler):
    def accelerated(unet, scheduler):
        accelerate(unet, THIRD, **({"scheduler": scheduler} if with_scheduler else {}))

    alone, scheduler = tiny.small_unet(), tiny.ddim()
    accelerated(alone, scheduler)
    wanted = loop(alone, scheduler, 1)
    other = loop(tiny.small_unet(), tiny.ddim(), 2)

    base, scheduler, unwatched = tiny.small(), tiny.ddim(), tiny.ddim()
    plain = tiny.sample(tiny.small())
    accelerated(base.unet, scheduler)
    works = [lambda: loop(base.unet, scheduler, 1)]
    if with_scheduler:  # without one, every caller of the denoiser is meant
        works += [lambda: tiny.sample(shared(base, None)), lambda: loop(base.unet, unwatched, 2)]
    results = in_threads(works)
    for result, expected in zip(results, [wanted, plain, other], strict=False):
        assert torch.equal(result, expected)


def test_a_bare_denoiser_in_several_threads():
    unet = tiny.small_unet()
    accelerate(unet, THIRD)
    wanted = [loop(unet, tiny.ddim(), seed) for seed in range(3)]
    results = in_threads([lambda seed=seed: loop(unet, tiny.ddim(), seed) for seed in range(3)])
    assert all(torch.equal(*pair) for pair in zip(results, wanted, strict=True))


def test_one_pipeline_in_two_threads_is_refused():
    """Its scheduler is one object: plain diffusers mixes the steps of both up without a word."""
    pipe = tiny.small()
    wanted = tiny.sample(pipe)
    accelerate(pipe, interval=1)
    results, errors = [], []

    def work():
        try:
            results.append(tiny.sample(pipe, num_inference_steps=20))
        except PipelineInUseError as error:
            errors.append(error)

    in_threads([work, work])
    assert errors
    assert all(len(str(error)) <= 300 for error in errors)
    assert torch.equal(tiny.sample(pipe), wanted)


def test_one_pipeline_in_one_thread_after_another():
    pipe = tiny.small()
    accelerate(pipe, THIRD)
    wanted = tiny.sample(pipe)
    for _ in range(2):
        (result,) = in_threads([lambda: tiny.sample(pipe)])
        assert torch.equal(result, wanted)


def test_a_model_can_be_copied_saved_and_looked_at_in_the_middle_of_a_run(tmp_path):
    pipe = tiny.small()
    plain_keys = list(pipe.unet.state_dict())
    plain_names = [name for name, _ in pipe.unet.named_modules()]
    accelerate(pipe, THIRD)
    found = []

    def look():
        pipe.unet.save_pretrained(tmp_path / "unet")
        twin = copy.deepcopy(pipe.unet)
        found.append(
            list(pipe.unet.state_dict()) == list(twin.state_dict()) == plain_keys
            and [name for name, _ in pipe.unet.named_modules()] == plain_names
            and list(type(pipe.unet).from_pretrained(tmp_path / "unet").state_dict()) == plain_keys
            and [name for name, _ in pickle.loads(pickle.dumps(twin)).named_modules()] == plain_names
        )

    def from_a_thread(pipe, step, timestep, kwargs):
        in_threads([look])
        return kwargs

    tiny.sample(pipe, callback_on_step_end=from_a_thread, num_inference_steps=4)
    assert found == [True] * 4
