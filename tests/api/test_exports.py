"""The routes about exports, on a running app."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from easytune import demo
from tests.made_adapters import adapter_on
from tests.patience import PATIENCE_S, eventually

ENDED = ("finished", "stopped", "failed", "crashed", "lost")


@pytest.fixture(scope="module")
def http(shared_app: Any) -> Iterator[httpx.Client]:
    """A client of the app, whose home has an adapter."""
    adapter_on(demo.MODEL, shared_app.home / "models" / "voice")
    with httpx.Client(base_url=shared_app.url, timeout=PATIENCE_S) as client:
        yield client


def _ended(http: httpx.Client, address: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = http.get(address).json()
        return found if found["state"] in ENDED else None

    return eventually(look, lambda: http.get(address).text)


def test_an_export_is_started_followed_proved_downloaded_and_deleted(http: httpx.Client) -> None:
    config = {"what": {"models": ["voice"]}, "result": {"name": "By phone"}}
    begun = http.post("/api/exports", json={"config": config})
    assert begun.status_code == 202, begun.text
    address = f"/api/exports/{begun.json()['id']}"
    early = http.get(f"{address}/certificate")
    assert (early.status_code, early.json()["error"]["code"]) == (409, "export_unfinished")
    taken = http.post("/api/exports", json={"config": config})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "export_name_taken")

    story = _ended(http, address)

    assert (story["state"], story["is_model"], story["name"]) == ("finished", True, "By phone")
    proof = http.get(f"{address}/certificate").json()
    assert proof["passed"]
    assert proof["sentences"]
    assert "/" not in json.dumps(proof["sources"])
    for file in proof["files"]:
        content = http.get(f"{address}/files/{file['path']}").content
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
    for path in ("../../job.yaml", "%2e%2e/%2e%2e/job.yaml", "gone.bin"):
        assert http.get(f"{address}/files/{path}").status_code == 404
    (line,) = http.get("/api/exports", params={"search": "phone"}).json()["exports"]
    assert (line["target"], line["sources"][0]["title"]) == ("adapter", "voice")
    # Its process takes a moment to go after its last word.
    eventually(lambda: http.delete(address).status_code == 204)
    assert http.get(address).status_code == 404


def test_an_export_is_stopped_and_goes_on(http: httpx.Client) -> None:
    config = {"what": {"models": ["voice"]}}
    begun = http.post("/api/exports", json={"config": config}).json()
    address = f"/api/exports/{begun['id']}"
    assert http.post(f"{address}/stop", json={"now": True}).status_code == 200
    assert _ended(http, address)["state"] == "stopped"
    again = http.post(f"{address}/resume")
    assert again.status_code == 202, again.text
    assert http.post(f"/api/exports/{again.json()['id']}/stop", json={}).status_code == 200


WRONG = [
    ({"what": {"models": ["nobody"]}}, 404, "model_not_found"),
    ({"what": {"models": ["demo"]}}, 400, "no_adapter"),
    ({"what": {"target": "floppy"}}, 400, None),
    ({"what": {"models": ["voice"], "weights": [1, 2]}}, 400, "export_invalid"),
]


@pytest.mark.parametrize(("config", "status", "code"), WRONG)
def test_what_cannot_be_exported_is_refused_at_once(
    http: httpx.Client, config: dict[str, Any], status: int, code: str | None
) -> None:
    refused = http.post("/api/exports", json={"config": config})

    assert refused.status_code == status, refused.text
    assert code is None or refused.json()["error"]["code"] == code
