"""The documentation's code runs, its figures are those that were measured, and its lists are whole."""

import re
from pathlib import Path

import pytest
import yaml

from mmcache.api.notes import Note
from tests import code_blocks

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
# Numbers that measurements give: with a point, and not a step of a version.
FIGURE = re.compile(r"(?<![\d.])\d+\.\d+(?![\d.])")


def test_start_runs_on_the_miniature(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = code_blocks.blocks("start.md")
    (with_one,) = blocks.pop("Without a model")
    pipe = code_blocks.run(with_one)["pipe"]
    pipe.set_progress_bar_config(disable=True)
    for codes in blocks.values():
        for code in codes:
            code_blocks.run(code, {"steps": 6}, {"pipe": pipe})
    assert (tmp_path / "compared" / "side-by-side.png").exists()


def test_choosing_a_plan_has_only_measured_figures():
    measured = {
        figure
        for name in ("frontier.md", "gpu.md")
        for figure in FIGURE.findall((DOCS / name).read_text(encoding="utf-8"))
    }
    text = (DOCS / "choosing-a-plan.md").read_text(encoding="utf-8")
    code = re.compile(r"`[^`\n]*`|Stable Diffusion v[\d.]+")
    claimed = set(FIGURE.findall(code.sub("", text)))
    rounded = {"2.2", "2.5"}  # of the first table's "2.2 to 2.5 times"
    assert len(claimed) > 50
    assert claimed - measured - rounded == set()


def test_troubleshooting_has_every_kind_of_note():
    kinds = set(re.findall(r"`(\w+)`", Note.__doc__))
    listed = (DOCS / "troubleshooting.md").read_text(encoding="utf-8").partition("## All notes")[2]
    assert set(re.findall(r"^\| `(\w+)`", listed, re.MULTILINE)) == kinds


@pytest.mark.parametrize(
    "card", sorted((ROOT / "demos/miniatures").glob("*/README.md")), ids=lambda p: p.parent.name
)
def test_model_cards_are_fit_for_the_hub(card):
    """A card stands alone there: no link may leave its folder."""
    from huggingface_hub import ModelCard

    text = card.read_text(encoding="utf-8")
    data = ModelCard(text).data
    assert data.license == "mit"
    assert "mmcache" in data.tags
    assert data.pipeline_tag in {"text-to-image", "image-to-image", "text-to-video", "image-classification"}
    if (card.parent / "figures.json").exists():
        assert data.library_name == "diffusers"
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        target = card.parent / link.partition("#")[0]
        assert target.exists(), link
        assert target.resolve().is_relative_to(card.parent), link


def test_configs_of_miniatures_name_no_folder_of_a_machine():
    configs = [path.read_text(encoding="utf-8") for path in (ROOT / "demos/miniatures").rglob("*config.json")]
    assert configs
    assert not [text for text in configs if re.search(r'"_name_or_path": "[/~]', text)]


def test_the_citation_has_the_package_s_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert f'version = "{cited["version"]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
