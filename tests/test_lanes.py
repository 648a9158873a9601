"""A call is told by what it goes on from; what is no sampling run is plain."""

import pytest
import torch

from mmcache import Hold, accelerate
from tests import tiny

TEXT = tiny.embeddings()["prompt_embeds"]


def latents(count, size=tiny.SIZE):
    return list(torch.randn(count, 1, 4, tiny.SIZE, size, generator=torch.Generator().manual_seed(3)))


def loop(unet, images, order=lambda step, count: range(count), scheduler=None, steps=10):
    """Several images in one loop, one call each per step."""
    scheduler = scheduler or tiny.ddim()
    scheduler.set_timesteps(steps)
    images = [image.clone() for image in images]
    with torch.no_grad():
        for step, time in enumerate(scheduler.timesteps):
            for number in order(step, len(images)):
                noise = unet(images[number], time, encoder_hidden_states=TEXT).sample
                images[number] = scheduler.step(noise, time, images[number]).prev_sample
    return images


@pytest.mark.parametrize("with_scheduler", [True, False])
@pytest.mark.parametrize(
    "order",
    [
        lambda step, count: range(count),
        lambda step, count: reversed(range(count)) if step % 2 else range(count),
        lambda step, count: range(count - (step >= 5)),  # one of them is done earlier
    ],
    ids=["in order", "in turns", "one ends"],
)
def test_images_in_one_loop_are_those_of_loops_of_their_own(order, with_scheduler):
    def run(images, order):
        unet, scheduler = tiny.small_unet(), tiny.ddim()
        more = {"scheduler": scheduler} if with_scheduler else {}
        accelerate(unet, interval=3, forecast=Hold(), **more)
        return loop(unet, images, order, scheduler)

    images = latents(2)
    together = run(images, order)
    alone = [run([image], lambda step, count: range(1))[0] for image in images]
    assert torch.equal(together[0], alone[0])
    if len(list(order(9, 2))) == 2:
        assert torch.equal(together[1], alone[1])


def calls_of(unet, calls):
    """What a bare accelerated denoiser and a plain one return."""
    plain, session = tiny.small_unet(), accelerate(unet, interval=3, forecast=Hold())
    with torch.no_grad():
        for x, time in calls:
            found = unet(x, time, encoder_hidden_states=TEXT).sample
            assert torch.equal(found, plain(x, time, encoder_hidden_states=TEXT).sample)
    return session


def noised(image, time, seed):
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    share = tiny.ddim().alphas_cumprod[time]
    return share.sqrt() * image + (1 - share).sqrt() * noise


TIMES = [900, 700, 500, 450, 300, 200, 100, 801, 17, 333]
NO_RUNS = {
    "fresh noise": lambda x: [(noised(x, time, seed), time) for seed, time in enumerate(TIMES)],
    "features at one time": lambda x: [(noised(x, 261, seed), 261) for seed in range(12)],
    "one latent at times": lambda x: [(x, time) for time in sorted(TIMES)],
    "images in order of time": lambda x: [(noised(x, t, t), t) for t in range(300, 900, 50)],
}


@pytest.mark.parametrize("name", NO_RUNS)
def test_what_is_no_run_is_plain(name):
    session = calls_of(tiny.small_unet(), NO_RUNS[name](latents(1)[0]))
    assert "runs_in_full" in [note.kind for note in session.report().notes]
    assert len([run for run in session.denoisers["denoiser"]._runs if run.bytes_held()]) <= 8


@pytest.mark.parametrize("how", ["weights", "input", "torch.func"])
def test_what_is_differentiated_is_plain(how):
    unet, plain = tiny.small_unet().requires_grad_(how == "weights"), tiny.small_unet()
    session = accelerate(unet, interval=3)

    def call(model, x, time):
        return model(x, time, encoder_hidden_states=TEXT).sample

    for time in (700, 500, 300):
        x = latents(1)[0].requires_grad_(how == "input")
        if how == "torch.func":
            with torch.no_grad():
                result = torch.func.vjp(lambda x, t=time: call(unet, x, t), x)[0]
        else:
            result = call(unet, x, time)
        assert torch.equal(result, call(plain, x, time))
    assert not session.report().denoisers[0].steps


def test_an_inversion_by_hand_is_a_run():
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    pipe.scheduler.set_timesteps(12)
    x = latents(1)[0]
    with torch.no_grad():
        for time in reversed(pipe.scheduler.timesteps):
            x = x + 0.02 * pipe.unet(x, time, encoder_hidden_states=TEXT).sample
    assert "0" in tiny.steps_of(session)


def test_losses_at_the_timesteps_of_a_scheduler_are_plain():
    unet, plain, scheduler = tiny.small_unet(), tiny.small_unet(), tiny.ddim()
    accelerate(unet, interval=3, forecast=Hold(), scheduler=scheduler)
    scheduler.set_timesteps(10)
    image = latents(1)[0]
    with torch.no_grad():
        for seed, time in enumerate(scheduler.timesteps):
            x = noised(image, time, seed)
            found = unet(x, time, encoder_hidden_states=TEXT).sample
            assert torch.equal(found, plain(x, time, encoder_hidden_states=TEXT).sample)
