"""Two processes that compute one denoiser together, by gloo: both take the steps of one alone."""

import pytest
import torch

from tests import spread_denoiser
from tests.spread_denoiser import PLANS

pytestmark = [
    pytest.mark.slow,  # each process imports diffusers: half a minute
    pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch was built without gloo"),
]
CACHED = [*PLANS, "noisy", "two prompts", "every step"]
RUNS = ["plain", *CACHED, "restored"]
TOKENS = ["tokens", "any tokens", "ring"]  # context parallelism: Ulysses, of parts of any size, and a ring
WAYS = [*TOKENS, "weights", "shards", "shards once"]  # tensor parallelism, FSDP


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each process has found."""
    pytest.importorskip("diffusers", minversion="0.42")  # tensor parallelism
    return spread_denoiser.run(tmp_path_factory.mktemp("found"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("run", RUNS)
def test_both_processes_have_the_latents_of_one_alone(found, way, run):
    first, second = (process[way][run]["latent"] for process in found)
    assert torch.equal(first, second)
    torch.testing.assert_close(first, found[0]["alone"][run]["latent"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("run", CACHED)
def test_both_take_the_steps_of_one_alone(found, way, run):
    assert found[0][way][run]["ran"] == found[1][way][run]["ran"] == found[0]["alone"][run]["ran"]


@pytest.mark.parametrize("way", WAYS)
def test_a_full_step_is_the_plain_one_and_nothing_is_left_behind(found, way):
    for process in found:
        plain = process[way]["plain"]["latent"]
        assert torch.equal(process[way]["every step"]["latent"], plain)
        assert torch.equal(process[way]["restored"]["latent"], plain)


def test_multiply_adds_are_counted_by_one_process_while_others_do_not_count(found):
    """With parallel weights those of all processes together; with parallel tokens those of one."""
    for run in PLANS:
        alone = found[0]["alone"][run]["macs"]
        for way in ("weights", "shards", "shards once"):
            assert found[0][way][run]["macs"] == alone
        for way in ("tokens", "ring"):
            assert alone / 2 <= found[0][way][run]["macs"] < 0.6 * alone  # the timestep is embedded in each
        assert found[0]["any tokens"][run]["macs"] is None  # each call asks the others for their sizes


def test_where_data_would_decide_it_is_refused(found):
    for process in found:
        for way in (*WAYS, "by torch"):
            assert "Uniform(3)" in process[way]["refusal"]
        assert "Uniform(3)" in process["late, by data"]["error"]


def test_wrapped_blocks_are_refused_with_what_to_do(found):
    for process in found:
        assert "fully_shard" in process["wrapped"]["refusal"]


def test_a_denoiser_may_be_spread_after_it_was_accelerated(found):
    for process in found:
        assert torch.equal(process["late"]["latent"], process["tokens"]["hold"]["latent"])


def test_no_process_waits_for_one_that_decides_otherwise(found):
    first, second = (process["disagreement"] for process in found)
    assert first["ran"] == second["ran"] == "F00FFFF00"
    assert torch.equal(first["latent"], second["latent"])


def test_each_process_may_compute_one_prompt(found):
    for process in found:
        torch.testing.assert_close(
            process["a prompt each"]["latent"], process["alone"]["two prompts"]["latent"], rtol=0, atol=1e-6
        )
        assert process["a prompt each"]["ran"] == "F0F0F0F0F"
