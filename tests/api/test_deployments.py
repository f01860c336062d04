"""The routes about deployments, on a running app."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import free_port
from tests.patience import PATIENCE_S, eventually

ENDED = ("stopped", "crashed", "lost")


@pytest.fixture(scope="module")
def http(shared_app: Any) -> Iterator[httpx.Client]:
    """A client of the app."""
    with httpx.Client(base_url=shared_app.url, timeout=PATIENCE_S) as client:
        yield client


def test_a_deployment_is_started_read_stopped_and_deleted(http: httpx.Client) -> None:
    port = free_port()
    config = {"deploy": {"name": "house"}, "server": {"port": port, "key": True}}
    begun = http.post("/api/deployments", json={"config": config})
    assert begun.status_code == 202, begun.text
    told, key = begun.json()["deployment"], begun.json()["key"]
    address = f"/api/deployments/{told['id']}"

    assert (told["model"], told["name"], told["engine"]) == ("demo", "house", "easytune")
    assert told["url"] == f"http://127.0.0.1:{port}/v1"
    assert told["key_hints"] == [f"et-…{key[-4:]}"]
    assert key not in http.get(address).text
    assert [one["id"] for one in http.get("/api/deployments").json()["deployments"]] == [told["id"]]
    taken = http.post("/api/deployments", json={"config": {"server": {"port": port}}})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "port_taken")
    assert http.delete(address).status_code == 409, "it still serves"
    early = http.post(f"{address}/check")
    assert early.status_code in (202, 409), early.text

    assert http.post(f"{address}/stop").json()["state"] in ("stopping", "stopped")
    eventually(lambda: http.get(address).json()["state"] in ENDED)
    assert http.get(f"{address}/log", params={"lines": 5}).status_code == 200
    assert http.delete(address).status_code == 204
    assert http.get(address).json()["error"]["code"] == "deployment_missing"


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"deploy": {"model": "nobody/has-this"}}, "model_not_found"),
        ({"server": {"host": "0.0.0.0"}}, "key_needed"),
        ({"server": {"port": 70_000}}, None),
        ({"deploy": {"engine": "transformers"}, "server": {"key": True}}, "engine_unfit"),
    ],
)
def test_what_cannot_be_served_is_refused_with_its_reason(
    http: httpx.Client, config: dict[str, Any], code: str | None
) -> None:
    refused = http.post("/api/deployments", json={"config": config})

    assert refused.status_code in (400, 404), refused.text
    assert refused.json()["error"]["code"] == code
    assert http.get("/api/deployments").json()["deployments"] == []
