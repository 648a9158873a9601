"""A call is told by what it goes on from; what is no sampling run is plain."""

import contextlib

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    StableDiffusionInpaintPipeline,
)

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


@pytest.mark.parametrize("calls", [1, 2])
def test_a_teacher_that_is_asked_for_a_step_is_plain(calls):
    """Distillations ask for one step of a sampler from a noised image, and for what comes behind it."""
    unet, plain, scheduler = tiny.small_unet(), tiny.small_unet(), tiny.ddim()
    session = accelerate(unet, interval=3, forecast=Hold())
    scheduler.set_timesteps(50)
    with torch.no_grad():
        for seed, index in enumerate([30, 12, 44, 3, 21, 8]):
            x = noised(latents(1)[0], int(scheduler.timesteps[index]), seed)
            for time in scheduler.timesteps[index : index + calls]:
                found = unet(x, time, encoder_hidden_states=TEXT).sample
                assert torch.equal(found, plain(x, time, encoder_hidden_states=TEXT).sample)
                x = scheduler.step(found, time, x).prev_sample
    assert [note.kind for note in session.report().notes] == ["runs_in_full"]


def test_a_run_whose_latents_stop_going_on_as_a_samplers_is_full_there():
    """Smooth windows that a loop moves a little are much alike, but further off than a sampler's step."""
    unet, scheduler = tiny.unconditional_unet(in_channels=4, out_channels=4), tiny.ddim()
    session = accelerate(unet, interval=3, forecast=Hold())
    scheduler.set_timesteps(60)
    image = 10 * torch.sin(torch.arange(16) * torch.pi / 8).expand(1, 4, 16, 16)
    with torch.no_grad():
        for step, time in enumerate(scheduler.timesteps[:20]):
            image = image.roll(1, -1) if step in (8, 14) else image
            image = scheduler.step(unet(image, time).sample, time, image).prev_sample
    ran = tiny.steps_of(session)
    assert ran[:8] == "FF0F00F0"
    assert [ran[8], ran[14]] == ["F", "F"]
    assert [note.kind for note in session.report().notes] == ["runs_in_full"]


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


def exchanged(tensors):
    return {"latents": torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(9))}


def exchanged_in_place(tensors):
    tensors["latents"].normal_(generator=torch.Generator().manual_seed(9))
    return tensors


def resampled(tensors):
    """As particles are: the second one goes on from the first."""
    return {"latents": tensors["latents"][[0, 0, 2]]}


def in_turns(tensors):
    return {"latents": tensors["latents"].roll(1, 0)}


def nudged(tensors):
    return {"latents": tensors["latents"] * 1.01 + 0.01}


def equal(tensors):
    return {"latents": tensors["latents"].clone()}


def exchanged_as_data(tensors):
    tensors["latents"].data = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(9))
    return tensors


def mirrored_by_numpy(tensors):
    tensors["latents"].numpy()[:] = tensors["latents"].numpy()[..., ::-1].copy()
    return tensors


CHANGES = (exchanged, exchanged_in_place, exchanged_as_data, mirrored_by_numpy, resampled, in_turns)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("change", [*CHANGES, nudged, equal])
def test_a_latent_that_a_callback_exchanges_needs_features_of_its_own(change, mode):
    def callback(pipe, step, timestep, tensors):
        return change(tensors) if step == 3 else tensors

    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    with mode():
        tiny.sample(pipe, num_images_per_prompt=3, callback_on_step_end=callback)
    goes_on = change in (nudged, equal)
    assert tiny.steps_of(session) == ("F00F00F00F" if goes_on else "F00FF0F00F")
    assert ("untold_lanes" in [note.kind for note in session.report().notes]) != goes_on


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    "sampler", [DDIMScheduler, EulerAncestralDiscreteScheduler, FlowMatchEulerDiscreteScheduler]
)
def test_a_latent_that_is_rolled_at_every_step_is_not_what_the_sampler_has_returned(sampler, mode):
    """However much noise a sampler adds, and however little a roll of smooth latents changes them."""

    def run(turned):
        unet, scheduler = tiny.unconditional_unet(in_channels=4, out_channels=4), sampler()
        scale = getattr(scheduler, "scale_model_input", lambda image, time: image)
        session = accelerate(unet, interval=3, scheduler=scheduler)
        scheduler.set_timesteps(10)
        smooth = torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(0))
        image = torch.nn.functional.interpolate(smooth, (8, 8), mode="bilinear")
        with mode():
            for time in scheduler.timesteps:
                seen = scale(image, time)
                image = turned(scheduler.step(unet(seen, time).sample, time, image).prev_sample)
        return tiny.steps_of(session)

    assert run(lambda image: image.roll(1, -1)) == "F" * 10
    assert run(lambda image: image.flip(-2)) == "F" * 10
    assert run(torch.clone) == "F00F00F00F"
    assert run(lambda image: image * 1.01) == "F00F00F00F"


@pytest.mark.parametrize("sampler", [DDIMScheduler, EulerAncestralDiscreteScheduler])
def test_a_latent_that_a_callback_rolls_at_every_step_needs_features_of_its_own(sampler):
    pipe = tiny.small(scheduler=sampler.from_config(tiny.ddim().config))
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe, callback_on_step_end=lambda *call: {"latents": call[-1]["latents"].roll(1, -1)})
    assert tiny.steps_of(session) == "F" * tiny.STEPS
    tiny.sample(pipe, callback_on_step_end=lambda *call: {"latents": call[-1]["latents"].clone()})
    assert tiny.steps_of(session) == "F00F00F00F"


@pytest.mark.parametrize("sampler", [DDIMScheduler, EulerAncestralDiscreteScheduler])
def test_an_image_that_the_pipeline_puts_back_around_a_mask_is_cached_beside_a_callback_too(sampler):
    pipe = tiny.small(StableDiffusionInpaintPipeline, scheduler=sampler.from_config(tiny.ddim().config))
    session = accelerate(pipe, interval=3)
    image, mask = torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1
    given = {"image": image, "mask_image": mask, "strength": 1.0, "height": 32, "width": 32}
    tiny.sample(pipe, **given)
    alone = tiny.steps_of(session)
    tiny.sample(pipe, callback_on_step_end=lambda pipe, step, timestep, tensors: tensors, **given)
    assert tiny.steps_of(session)[2:] == alone[2:]  # how much a sampler's noise changes is learnt first
    assert "0" in alone[2:]


def test_a_loop_that_turns_the_latent_at_every_other_step_is_full():
    unet, scheduler = tiny.unconditional_unet(in_channels=4, out_channels=4), tiny.ddim()
    session = accelerate(unet, interval=3, scheduler=scheduler)
    scheduler.set_timesteps(10)
    image = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for step, time in enumerate(scheduler.timesteps):
        seen = image.flip(-1) if step % 2 else image
        with torch.no_grad():
            seen = scheduler.step(unet(seen, time).sample, time, seen).prev_sample
        image = seen.flip(-1) if step % 2 else seen
    assert tiny.steps_of(session) == "F" * 10


def test_a_loop_whose_input_stands_still_is_cached():
    unet, scheduler = tiny.unconditional_unet(in_channels=4, out_channels=4), tiny.ddim()
    session = accelerate(unet, interval=3, scheduler=scheduler)
    scheduler.set_timesteps(10)
    still, image = torch.ones(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    for time in scheduler.timesteps:
        with torch.no_grad():
            image = scheduler.step(unet(still, time).sample, time, image).prev_sample
    assert tiny.steps_of(session) == "F00F00F00F"


def stepped(
    unet, scheduler, image, seen=lambda step, image: image, changed=lambda step, image: image, steps=12
):
    """A loop of one's own that may change what the denoiser sees, and what the sampler has returned."""
    scheduler.set_timesteps(steps)
    with torch.no_grad():
        for step, time in enumerate(scheduler.timesteps):
            noise = unet(seen(step, image), time).sample
            image = changed(step, scheduler.step(noise, time, image).prev_sample)
    return image


def redrawn(columns):
    """Redraws some columns of each latent."""

    def change(step, image):
        image, part = image.clone(), image[..., columns]
        fresh = torch.randn(part.shape, generator=torch.Generator().manual_seed(step))
        image[..., columns] = fresh * image.pow(2).mean().sqrt()
        return image

    return change


@pytest.mark.parametrize("columns", [slice(1, 16), slice(17, 32)])
def test_a_latent_of_which_a_part_is_redrawn_at_every_step_is_full(columns):
    """Of a large latent only some numbers are compared: they lie in all of its columns."""
    unet, scheduler = tiny.unconditional_unet(in_channels=4, out_channels=4), tiny.ddim()
    session = accelerate(unet, interval=3, scheduler=scheduler)
    image = torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    stepped(unet, scheduler, image, changed=redrawn(columns))
    assert tiny.steps_of(session) == "F" * 12


@pytest.mark.parametrize("every", [2, 3])
def test_a_latent_that_is_turned_for_some_calls_only_goes_on_with_no_features_of_the_other_way(every):
    def turned(step, image):
        return image.roll(3, -1) if step % every == 0 else image

    image = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    wanted = stepped(tiny.unconditional_unet(in_channels=4, out_channels=4), tiny.ddim(), image, turned)
    unet, scheduler = tiny.unconditional_unet(in_channels=4, out_channels=4), tiny.ddim()
    accelerate(unet, interval=3, scheduler=scheduler)
    found = stepped(unet, scheduler, image, turned)
    assert (found - wanted).norm() < 0.02 * wanted.norm()


def test_rows_of_a_batch_that_are_stepped_alone_are_cached():
    unet, scheduler = tiny.unconditional_unet(in_channels=4, out_channels=4), tiny.ddim()
    session = accelerate(unet, interval=3, scheduler=scheduler)
    scheduler.set_timesteps(10)
    images = torch.randn(3, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for time in scheduler.timesteps:
            noise = unet(images, time).sample
            rows = [scheduler.step(noise[[n]], time, images[[n]]).prev_sample for n in range(3)]
            images = torch.cat(rows)
    assert tiny.steps_of(session) == "F00F00F00F"


@pytest.mark.parametrize("first", [True, False])
def test_an_image_beside_the_latent_may_come_before_it_or_behind_it(first):
    unet, scheduler = tiny.unconditional_unet(in_channels=8, out_channels=4), tiny.ddim()
    session = accelerate(unet, interval=3, scheduler=scheduler)
    given = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    image = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    stepped(
        unet,
        scheduler,
        image,
        lambda step, image: torch.cat([given, image] if first else [image, given], 1),
        steps=10,
    )
    assert tiny.steps_of(session) == "F00F00F00F"


def test_what_a_sampler_returns_while_the_denoiser_rests_is_not_heaped_up():
    unet, scheduler = tiny.unconditional_unet(in_channels=4, out_channels=4), tiny.ddim()
    session = accelerate(unet, interval=3, scheduler=scheduler)
    scheduler.set_timesteps(60)
    image, noise, held = torch.randn(1, 4, 16, 16), None, []
    with torch.no_grad():
        for step, time in enumerate(scheduler.timesteps[:-1]):
            noise = unet(image, time).sample if step < 4 else noise
            image = scheduler.step(noise, time, image).prev_sample
            held.append(session.denoisers["denoiser"].run.bytes_held())
    assert max(held[20:]) <= held[3]
    assert session.report().denoisers[0].steps[-1].bytes_held == held[-1]


@pytest.mark.parametrize("batch", [2, 32])
@pytest.mark.parametrize("with_scheduler", [True, False])
def test_rows_that_change_places_are_told_in_a_batch_of_any_size(with_scheduler, batch):
    def run(changes_at):
        unet, scheduler = tiny.unconditional_unet(in_channels=4, out_channels=4), tiny.ddim()
        more = {"scheduler": scheduler} if with_scheduler else {}
        session = accelerate(unet, interval=3, forecast=Hold(), **more)
        scheduler.set_timesteps(12)
        x = torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(0))
        full = []
        with torch.no_grad():
            for step, time in enumerate(scheduler.timesteps):
                if step == changes_at:
                    x = x[[1, 0, *range(2, batch)]]
                x = scheduler.step(unet(x, time).sample, time, x).prev_sample
                full.append(session.denoisers["denoiser"].run.calls[-1].branch is None)
        return full

    assert not run(changes_at=None)[7]
    assert run(changes_at=7)[7]


def test_loops_that_take_turns_with_one_scheduler_do_not_share_features():
    def steps(unet, scheduler, image):
        scheduler.set_timesteps(10)
        for time in scheduler.timesteps:
            with torch.no_grad():
                noise = unet(image, time, encoder_hidden_states=TEXT).sample
            image = scheduler.step(noise, time, image).prev_sample
            yield image

    def run(unet, scheduler):
        loops = [steps(unet, scheduler, image) for image in latents(2)]
        return [[next(one) for one in loops] for _ in range(10)][-1]

    wanted = run(tiny.small_unet(), tiny.ddim())
    unet, scheduler = tiny.small_unet(), tiny.ddim()
    accelerate(unet, interval=3, scheduler=scheduler)
    for found, plain in zip(run(unet, scheduler), wanted, strict=True):
        assert (found - plain).norm() < 0.05 * plain.norm()


def test_a_run_within_a_callback_that_is_left_does_not_give_its_features_away():
    class Left(Exception):
        pass

    def leave(pipe, step, timestep, tensors):
        if step == 4:
            raise Left
        return tensors

    def preview(pipe, step, timestep, tensors):
        if step == 4:
            with contextlib.suppress(Left):
                tiny.sample(pipe, seed=5, callback_on_step_end=leave)
        return tensors

    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe, callback_on_step_end=preview)
    assert tiny.steps_of(session)[5] == "F"  # the step behind the inner run's last one
