"""The example of a service (demos/serving) over HTTP: once on the miniature, else on a tiny pipeline."""

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import typer
from PIL import Image

import mmcache
from mmcache_demos import load_miniature
from tests.tiny_prompted import prompted

testclient = pytest.importorskip("fastapi.testclient")
pytestmark = pytest.mark.filterwarnings("ignore:.*leave little to reuse")

PROMPT = {"prompt": "a person with long red hair", "steps": 10}


@pytest.fixture(scope="module")
def loras(tmp_path_factory):
    """A folder with a LoRA that was drawn at random."""
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    folder = tmp_path_factory.mktemp("loras")
    unet = prompted().unet
    torch.manual_seed(0)
    config = LoraConfig(r=4, init_lora_weights=False, target_modules=["to_q", "to_k", "to_v"])
    unet.add_adapter(config)
    weights = convert_state_dict_to_diffusers(get_peft_model_state_dict(unet))
    StableDiffusionPipeline.save_lora_weights(folder, weights, weight_name="random.safetensors")
    return folder


def client_of(pipe, **options):
    from mmcache_demos.serving.app import make_app
    from mmcache_demos.serving.service import ImageService

    return testclient.TestClient(make_app(ImageService(pipe, **options)))


@pytest.fixture
def client(loras):
    with client_of(prompted(), loras=loras) as client:
        yield client


@pytest.fixture
def client_of_the_miniature():
    with client_of(load_miniature()) as client:
        yield client


def image_of(response):
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content)).convert("RGB")


def counter(client, name, **labels):
    """The sum of a counter, of those with these labels."""
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name}{{")]
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(float(line.split()[-1]) for line in lines if all(one in line for one in wanted))


def alone(plan=None, make=prompted, **more):
    """What a pipeline gives by itself."""
    pipe = make()
    pipe.set_progress_bar_config(disable=True)
    if plan:
        mmcache.accelerate(pipe, plan)
    return pipe(
        PROMPT["prompt"], num_inference_steps=10, generator=torch.Generator().manual_seed(0), **more
    ).images[0]


def test_requests_at_once_have_their_own_plans(client_of_the_miniature):
    client = client_of_the_miniature
    plans = ["quality", "fast", "quality", "fast"]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda plan: client.post("/images", json={**PROMPT, "plan": plan}), plans))
    wanted = {plan: alone(plan, load_miniature) for plan in set(plans)}
    for plan, response in zip(plans, found, strict=True):
        assert image_of(response).tobytes() == wanted[plan].tobytes()
        assert "cached calls" in response.headers["X-Mmcache"]
    assert counter(client, "mmcache_requests_total", outcome="ok") == 4
    assert counter(client, "mmcache_full_steps_total", plan="quality") > counter(
        client, "mmcache_full_steps_total", plan="fast"
    )
    assert counter(client, "mmcache_full_steps_total") + counter(client, "mmcache_cached_steps_total") == 40
    assert counter(client, "mmcache_saved_macs_total") > 0
    assert counter(client, "mmcache_cache_misses_total") == 0


def test_a_roll_back_needs_no_restart(client):
    plain, cached = alone(), alone("balanced")
    assert client.put("/caching", json={"enabled": False}).json() == {"enabled": False}
    assert image_of(client.post("/images", json=PROMPT)).tobytes() == plain.tobytes()
    client.put("/caching", json={"enabled": True})
    assert image_of(client.post("/images", json=PROMPT)).tobytes() == cached.tobytes()


def test_a_request_that_takes_too_long_is_stopped_between_two_steps(client):
    response = client.post("/images", json={**PROMPT, "steps": 200, "seconds": 0.05})
    assert response.status_code == 504
    assert "stopped after step" in response.text
    assert counter(client, "mmcache_requests_total", outcome="timeout") == 1
    assert image_of(client.post("/images", json=PROMPT)).tobytes() == alone("balanced").tobytes()


def test_loras_are_switched_between_requests(client):
    without = image_of(client.post("/images", json=PROMPT)).tobytes()
    assert client.put("/lora", json={"name": "random"}).status_code == 200
    assert image_of(client.post("/images", json=PROMPT)).tobytes() != without
    assert client.put("/lora", json={}).status_code == 200
    assert image_of(client.post("/images", json=PROMPT)).tobytes() == without
    assert client.put("/lora", json={"name": "unknown"}).status_code == 404


def test_a_lora_is_switched_and_time_runs_out_while_others_are_served(loras):
    from mmcache_demos.serving.service import ImageRequest, ImageService, RequestTimeoutError

    service = ImageService(prompted(), workers=4, loras=loras)
    request = ImageRequest(PROMPT["prompt"], "fast", PROMPT["steps"])
    wanted = [service.submit(request).result().image.tobytes()]
    service.switch_lora("random")
    wanted.append(service.submit(request).result().image.tobytes())
    assert wanted[0] != wanted[1]
    late = ImageRequest(PROMPT["prompt"], "fast", 200, seconds=0.01)
    answers = [service.submit(late if place % 3 == 1 else request) for place in range(12)]
    service.switch_lora(None)  # between two of them
    for place, answer in enumerate(answers):
        if place % 3 == 1:
            with pytest.raises(RequestTimeoutError):
                answer.result()
        else:
            assert answer.result().image.tobytes() in wanted
    assert service.submit(request).result().image.tobytes() == wanted[0]
    assert 'mmcache_requests_total{outcome="ok",plan="fast"} 11.0' in service.metrics.text()
    assert 'mmcache_requests_total{outcome="timeout",plan="fast"} 4.0' in service.metrics.text()
    service.close()


def test_a_roll_back_reaches_a_request_that_is_just_beginning():
    from threading import Thread

    from mmcache_demos.serving.service import ImageRequest, ImageService

    service = ImageService(prompted(), workers=1)
    rollback = Thread(target=lambda: setattr(service, "enabled", False))

    class Sessions(list):
        def add(self, session):
            rollback.start()
            rollback.join(timeout=0.2)  # it may have to wait
            self.append(session)

    service._sessions = Sessions()
    service.submit(ImageRequest(PROMPT["prompt"], "fast", PROMPT["steps"])).result()
    rollback.join()
    assert not service._sessions[0].enabled
    service.close()


@pytest.mark.parametrize(
    "wrong",
    [{"plan": "fastest"}, {"steps": 0}, {"prompt": ""}, {"seconds": -1}, {"prompt": "  "}, {"stpes": 3}],
)
def test_what_is_wrong_is_refused(client, wrong):
    assert client.post("/images", json={**PROMPT, **wrong}).status_code == 422


def test_a_model_that_is_missing_is_said_in_words():
    from typer.testing import CliRunner

    from mmcache_demos.serving.__main__ import main

    app = typer.Typer()
    app.command()(main)
    done = CliRunner().invoke(app, ["--model", "no/such"])
    assert done.exit_code == 2
    assert "Traceback" not in done.output
    assert "no/such" in done.output
