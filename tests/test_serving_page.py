"""The Python of docs/serving.md runs, one block after the other, as in a service."""

import time
import warnings

import pytest
import torch

import mmcache
from tests import code_blocks, tiny_prompted

PROMPT = "a hat"


def test_the_page_runs(monkeypatch, capsys):
    code_blocks.loading(monkeypatch, {"DiffusionPipeline": tiny_prompted.prompted})
    blocks = code_blocks.blocks("serving.md")
    codes = [code for section in blocks.values() for code in section]
    assert len(codes) == (code_blocks.DOCS / "serving.md").read_text(encoding="utf-8").count("```python")
    make, tell, stop = codes
    names = code_blocks.run(make, names={"MODEL": "tiny"})
    plain = names["pipeline"]()(PROMPT, num_inference_steps=10, generator=seeded()).images[0]

    session = names["session"] = mmcache.accelerate(names["pipe"], shared=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mmcache.MmcacheWarning)
        code_blocks.run(tell, names=names)
        names["pipeline"]()(PROMPT, num_inference_steps=10)
    assert "cached calls" in capsys.readouterr().out
    assert session.totals().runs == 1

    names |= {"time": time, "prompt": PROMPT, "deadline": time.monotonic() - 1}
    with pytest.raises(TimeoutError, match="stopped after step 1"):
        code_blocks.run(stop, names=names)
    assert session.totals().stopped_runs == 1
    done = code_blocks.run(stop, names=names | {"deadline": time.monotonic() + 600})
    assert done["image"].size == plain.size

    session.enabled = False
    again = names["pipeline"]()(PROMPT, num_inference_steps=10, generator=seeded()).images[0]
    assert again.tobytes() == plain.tobytes()


def seeded():
    return torch.Generator().manual_seed(0)
