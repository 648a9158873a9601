"""What the example of a service answers before any image: its routes, and names that it does not know."""

import html
import re
import shlex

import pytest

import mmcache
from mmcache_demos import miniature

testclient = pytest.importorskip("fastapi.testclient")
from mmcache_demos.serving.app import Wanted, make_app  # noqa: E402


@pytest.fixture
def client(tmp_path):
    """A service whose pipeline is never called."""
    from mmcache_demos.serving.service import ImageService

    (tmp_path / "watercolour.safetensors").touch()
    with testclient.TestClient(make_app(ImageService(object(), loras=tmp_path))) as client:
        yield client


def test_the_first_page_names_the_routes_and_a_line_that_works(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in page.text
    (line,) = [html.unescape(text) for text in re.findall("<pre[^>]*>(.+)</pre>", page.text)]
    program, address, _, header, _, body, *_ = shlex.split(line)
    assert (program, address) == ("curl", f"{client.base_url}/images")
    assert Wanted.model_validate_json(body).plan in mmcache.presets()
    assert header == "content-type: application/json"
    assert client.get(re.findall('href="(.+)"', page.text)[0]).status_code == 200


@pytest.mark.parametrize(
    ("method", "route", "body", "code", "nearest"),
    [
        ("post", "/images", {"prompt": "a hat", "plan": "balancd"}, 422, "balanced"),
        ("put", "/lora", {"name": "watercolor"}, 404, "watercolour"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(client, method, route, body, code, nearest):
    response = client.request(method, route, json=body)
    assert response.status_code == code
    assert f"Did you mean '{nearest}'?" in response.json()["detail"]


def test_a_misspelt_miniature_is_refused_with_the_nearest_known_one():
    with pytest.raises(ValueError, match="Did you mean 'transformer'"):
        miniature("transformr")
