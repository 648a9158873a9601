"""The text-to-video miniature: its clips, the measure that names their motion, and what it draws."""

import numpy as np
import pytest
import torch
from diffusers import AnimateDiffPipeline, UNet2DConditionModel
from transformers import CLIPTokenizer

from mmcache_demos import load_miniature, miniature, miniature_folder
from mmcache_demos.portraits.classifier import load_classifier
from mmcache_demos.portraits.models import TEXT_LENGTH
from mmcache_demos.portraits.motion.animation import at_places, tokens_for_frames
from mmcache_demos.portraits.motion.clips import Clip, clips
from mmcache_demos.portraits.motion.direction import pose_over_clip, shown_motion
from mmcache_demos.portraits.motion.drawn_clips import draw_clip
from mmcache_demos.portraits.motion.evaluate import sample_clips
from mmcache_demos.portraits.motion.models import motion_adapter, with_motion
from mmcache_demos.portraits.motion.motions import FRAMES, MOTIONS, OPPOSITES, SHIFT, ZOOM
from mmcache_demos.portraits.motion.words import frame_directions, pose_directions

MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def pipeline() -> AnimateDiffPipeline:
    if not miniature_folder("text-to-video").exists():
        pytest.skip("the text-to-video miniature is not shipped yet, see demos/portraits/motion/README.md")
    pipeline = load_miniature("text-to-video")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def real() -> dict[str, tuple[Clip, np.ndarray]]:
    """A clip of every motion that the miniature was not trained on."""
    return {clip.motion: (clip, draw_clip(clip)) for clip in clips("held-out", len(MOTIONS))}


def test_captions_end_with_the_motion_and_fit(real):
    tokens = CLIPTokenizer.from_pretrained(miniature(), subfolder="tokenizer")
    for name, (clip, _) in real.items():
        assert clip.text.endswith(MOTIONS[name].words)
        assert clip.text.startswith(clip.caption.text)
    # The last tokens are those of the frames.
    assert max(len(tokens(clip.text).input_ids) for clip in clips("train", 700)) <= TEXT_LENGTH - FRAMES


def test_same_clip_same_frames_and_splits_share_no_portrait():
    first, second = clips("train", 20), clips("train", 20)
    assert first == second
    assert np.array_equal(draw_clip(first[3]), draw_clip(second[3]))
    assert not {clip.portrait for clip in first} & {clip.portrait for clip in clips("evaluation", 20)}


def test_a_still_portrait_stands_still_and_the_others_change(real):
    for name, (_, frames) in real.items():
        assert frames.shape == (FRAMES, 128, 128, 3)
        assert (frames[0] == frames[-1]).all() == (name == "still")


def test_the_measure_finds_the_size_of_each_motion(real):
    found = {name: pose_over_clip(frames) for name, (_, frames) in real.items()}
    assert found["right"].right == pytest.approx(SHIFT, abs=1)
    assert found["up"].down == pytest.approx(-SHIFT, abs=1)
    assert found["in"].zoom == pytest.approx(ZOOM, abs=0.05)
    assert found["left"].turn == pytest.approx(0, abs=1)


def test_the_measure_names_real_motions_and_their_reverse(real):
    for name, (_, frames) in real.items():
        assert shown_motion(frames) == name
    for name, reverse in OPPOSITES.items():
        assert shown_motion(real[name][1][::-1].copy()) == reverse
        assert shown_motion(real[reverse][1][::-1].copy()) == name


def test_opposite_motions_have_opposite_directions_and_the_still_one_none():
    poses = dict(zip(MOTIONS, pose_directions(width=128), strict=True))
    assert not poses["still"].any()
    for name, reverse in OPPOSITES.items():
        assert torch.allclose(poses[name], -poses[reverse], atol=1e-6)
        assert torch.allclose(poses[name], poses[reverse].flip(0), atol=1e-6)  # played backwards


def test_frames_and_poses_are_told_apart():
    frames, poses = frame_directions(width=128), pose_directions(width=128)
    assert torch.allclose(frames @ poses.flatten(0, 1).T, torch.zeros(1), atol=1e-4)
    angles = torch.nn.functional.cosine_similarity(frames[:, None], frames[None], dim=-1)
    assert torch.equal(angles.argmax(dim=1), torch.arange(FRAMES))


def test_tokens_turn_from_what_a_frame_needs_to_what_they_say_of_their_own():
    torch.manual_seed(0)
    text, poses = torch.randn(2, TEXT_LENGTH, 128), torch.randn(2, FRAMES, 128)
    said = text.clone()
    said[:, -FRAMES:] += poses
    places = torch.tensor([[0, 3], [1, 7]])
    assert torch.equal(tokens_for_frames(said, poses, places, 1.0), said.repeat_interleave(2, dim=0))
    first = tokens_for_frames(said, poses, places, 0.0).unflatten(0, (2, 2))
    for clip, frame in ((0, 0), (0, 1), (1, 0), (1, 1)):
        pose = poses[clip, places[clip, frame]]
        assert torch.allclose(first[clip, frame, -FRAMES:], text[clip, -FRAMES:] + pose, atol=1e-5)
        assert torch.equal(first[clip, frame, :-FRAMES], text[clip, :-FRAMES])


def test_frames_can_be_taken_from_any_places_of_a_clip():
    unet = with_motion(UNet2DConditionModel.from_pretrained(miniature(), subfolder="unet"), motion_adapter())
    for module in unet.modules():
        if hasattr(module, "proj_out") and hasattr(module, "transformer_blocks"):
            torch.nn.init.normal_(module.proj_out.weight, std=0.1)
    torch.manual_seed(0)
    latents, text = torch.randn(1, 4, 3, 16, 16), torch.randn(3, 40, 128)
    with torch.no_grad():
        plain = unet(latents, 500, text).sample
        with at_places(unet, torch.tensor([[0, 1, 2]])):
            assert torch.allclose(unet(latents, 500, text).sample, plain, atol=1e-5)
        with at_places(unet, torch.tensor([[0, 4, 7]])):
            assert not torch.allclose(unet(latents, 500, text).sample, plain, atol=1e-2)
        assert torch.equal(unet(latents, 500, text).sample, plain)


def test_untrained_motion_modules_change_nothing():
    unet = UNet2DConditionModel.from_pretrained(miniature(), subfolder="unet")
    torch.manual_seed(0)
    latents, text = torch.randn(1, 4, 3, 16, 16), torch.randn(3, 40, 128)
    with torch.no_grad():
        moving = with_motion(unet, motion_adapter())(latents, 500, text).sample
        pictures = unet(latents[0].transpose(0, 1), 500, text).sample
    assert torch.allclose(moving[0].transpose(0, 1), pictures, atol=1e-4)


def test_it_is_small_and_stores_only_its_own_parts(pipeline):
    weights = list(miniature("text-to-video").rglob("*.safetensors"))
    assert {path.parent.name for path in weights} == {"unet", "text_encoder"}
    assert sum(path.stat().st_size for path in weights) <= 26 * MEBIBYTE
    assert type(pipeline).__name__ == "AnimateDiffPipeline"
    assert {pipeline.unet.dtype, pipeline.vae.dtype, pipeline.text_encoder.dtype} == {torch.float32}


SHOWN = {"left": "blue", "in": "yellow"}  # a motion and a background in each clip


@pytest.fixture(scope="module")
def drawn(pipeline: AnimateDiffPipeline) -> np.ndarray:
    """A clip of each caption, uint8."""
    texts = [
        f"a person with a red hat on a {color} background, {MOTIONS[name].words}"
        for name, color in SHOWN.items()
    ]
    pixels = sample_clips(pipeline, texts, steps=6, guidance=3.0, seed=0)
    assert pixels.shape == (len(texts), FRAMES, 128, 128, 3)
    return pixels


def test_the_middle_of_a_clip_shows_what_the_caption_names(drawn):
    seen = load_classifier().name(drawn[:, FRAMES // 2])
    assert [answer["background"] for answer in seen] == [*SHOWN.values()]


def test_portraits_move_as_the_caption_says(drawn):
    assert [shown_motion(frames) for frames in drawn] == [*SHOWN]
