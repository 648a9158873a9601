"""Figures of quality: known values, what is missing said in words, and nothing downloaded."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

from mmcache.tools.quality.clip_score import clip_score_figure, image_processor
from mmcache.tools.quality.confidence import mean_of
from mmcache.tools.quality.figures import MOST_PSNR, MS_SSIM, PSNR, SSIM, VMAF, NotMeasuredError
from mmcache.tools.quality.latent_error import latent_error
from mmcache.tools.quality.lpips import lpips_figure
from mmcache.tools.quality.metrics import likeness, ms_ssim
from tests.tiny_prompted import tokenizer


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def test_a_mean_and_its_margin():
    mean = mean_of([1.0, 2.0, None, 3.0])
    assert mean.value == 2
    assert mean.images == 3
    assert mean.margin == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)
    assert mean_of([5.0]).margin is None
    assert mean_of([None]) is None


def test_ms_ssim():
    pictures = noise(1, 176, 180, 3)
    assert ms_ssim(pictures, pictures) == pytest.approx(1)
    assert ms_ssim(pictures, noise(1, 176, 180, 3, seed=1)) < 0.9
    assert ms_ssim(pictures[:, :175], pictures[:, :175]) is None


def test_what_small_pictures_do_not_have_is_said():
    pictures = noise(2, 10, 10, 3)
    with pytest.raises(NotMeasuredError, match="smaller than 11"):
        SSIM.measure(pictures, pictures, ["", ""])
    with pytest.raises(NotMeasuredError, match="smaller than 176"):
        MS_SSIM.measure(pictures, pictures, ["", ""])


def test_identical_pictures_have_a_finite_psnr_so_that_there_is_a_mean():
    pictures, others = noise(2, 16, 16, 3), noise(2, 16, 16, 3, seed=1)
    assert PSNR.measure(pictures, pictures, ["", ""]) == [MOST_PSNR] * 2
    each = PSNR.measure(pictures, others, ["", ""])
    assert each[1] == pytest.approx(likeness(pictures[1:], others[1:]).psnr)


def test_clips_have_one_value_each():
    clips, others = noise(2, 3, 32, 32, 3), noise(2, 3, 32, 32, 3, seed=1)
    assert len(PSNR.measure(clips, others, ["", ""])) == len(SSIM.measure(clips, others, ["", ""])) == 2
    assert VMAF.measure(clips[:1], clips[:1], [""])[0] > 90


def test_vmaf_without_its_tool(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ffmpeg_quality_metrics", None)
    with pytest.raises(NotMeasuredError, match="not installed"):
        VMAF.measure(noise(1, 3, 32, 32, 3), noise(1, 3, 32, 32, 3), [""])


def test_latent_error_of_known_latents():
    full = np.stack([np.full((4, 2, 2), 2.0), np.full((4, 2, 2), 2.0)])
    ours = np.stack([np.full((4, 2, 2), 3.0), np.full((4, 2, 2), -2.0)])
    relative, cosine = latent_error(ours, full)
    assert relative.tolist() == pytest.approx([0.5, 2])
    assert cosine.tolist() == pytest.approx([1, -1])


def alexnet(*_: object) -> nn.Sequential:
    """The features of torchvision's AlexNet, with random weights."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
    )


@pytest.fixture
def torchvision(monkeypatch):
    """In its place, the one network that LPIPS takes of it."""
    from torchmetrics.functional.image import lpips

    monkeypatch.setattr(lpips, "_get_tv_model_features", alexnet)
    return lpips


def test_lpips_takes_the_weights_of_the_file(torchvision, tmp_path):
    trained = {f"features.{name}": 1.5 * tensor for name, tensor in alexnet().state_dict().items()}
    torch.save(trained | {"classifier.1.weight": torch.zeros(1)}, tmp_path / "alexnet.pth")
    figure = lpips_figure(tmp_path / "alexnet.pth")
    pictures, others = noise(2, 64, 64, 3), noise(2, 64, 64, 3, seed=1)
    same, other = figure.measure(pictures, pictures, ["", ""]), figure.measure(pictures, others, ["", ""])
    assert same == [0, 0]
    assert not figure.higher_is_better

    net = torchvision._LPIPS(net="alex", pnet_rand=True)
    with torch.no_grad():
        for weight in net.net.parameters():
            weight.mul_(1.5)
        tensors = [torch.from_numpy(stack[1:]).permute(0, 3, 1, 2) for stack in (pictures, others)]
        assert other[1] == pytest.approx(float(net(*tensors, normalize=True)), rel=1e-5)


def test_lpips_without_weights_downloads_nothing(torchvision, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(NotMeasuredError, match="nothing is downloaded unasked"):
        lpips_figure()
    with pytest.raises(NotMeasuredError, match="no such file"):
        lpips_figure(tmp_path / "missing.pth")
    torch.save({"something": 1}, tmp_path / "else.pth")
    with pytest.raises(NotMeasuredError, match="does not hold AlexNet's weights"):
        lpips_figure(tmp_path / "else.pth")


def test_lpips_without_torchvision(tmp_path, monkeypatch):
    from torchmetrics.functional.image import lpips

    monkeypatch.setattr(lpips, "_TORCHVISION_AVAILABLE", False)
    (tmp_path / "alexnet.pth").touch()
    with pytest.raises(NotMeasuredError, match="pip install torchvision"):
        lpips_figure(tmp_path / "alexnet.pth")


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """A tiny random CLIP model, as `save_pretrained` writes it."""
    folder = tmp_path_factory.mktemp("clip")
    words = tokenizer()
    words.save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}
    text = CLIPTextConfig(vocab_size=len(words), max_position_embeddings=12, **shape, **ends)
    vision = CLIPVisionConfig(image_size=16, patch_size=8, **shape)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8)
    CLIPModel(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}'
    )
    return folder


def test_clip_score_is_the_cosine_of_picture_and_prompt(clip_folder):
    figure = clip_score_figure(clip_folder)
    pictures = noise(2, 32, 32, 3)
    scores = figure.measure(pictures, pictures, ["a person", "a hat"])
    assert figure.of_full
    assert all(0 <= value <= 100 for value in scores)

    model, words = CLIPModel.from_pretrained(clip_folder).eval(), tokenizer()
    seen = image_processor(clip_folder)(
        images=[np.rint(pictures[1] * 255).astype(np.uint8)], return_tensors="pt"
    )
    with torch.no_grad():
        found = model(**words(["a hat"], return_tensors="pt"), **seen)
    cosine = nn.functional.cosine_similarity(found.image_embeds, found.text_embeds)
    assert scores[1] == pytest.approx(max(0, 100 * float(cosine)), abs=1e-4)


def test_a_folder_that_is_no_clip_model(tmp_path):
    with pytest.raises(ValueError, match=r"no config\.json"):
        clip_score_figure(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="cannot be loaded as a CLIP model"):
        clip_score_figure(tmp_path)
