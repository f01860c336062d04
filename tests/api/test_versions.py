"""The routes about versions of models, on a running app."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE_S
from tests.services.registry_home import checkpoint, export, run


@pytest.fixture(scope="module")
def http(shared_app: Any) -> Iterator[httpx.Client]:
    """A client of an app whose home has two runs, a checkpoint and an export."""
    first = run(shared_app.home)
    checkpoint(first)
    export(shared_app.home, first, "tone")
    run(shared_app.home, number=2, optim__learning_rate=5e-5)
    with httpx.Client(base_url=shared_app.url, timeout=PATIENCE_S) as client:
        yield client


def test_versions_are_listed_filtered_and_read_without_folders(http: httpx.Client) -> None:
    listed = http.get("/api/versions").json()
    assert [one["version"] for one in listed["versions"]] == [
        "tone:v1", "house-style:v2", "house-style:v1",
    ]  # fmt: skip
    exports = http.get("/api/versions", params={"kind": "export"}).json()
    assert (len(exports["versions"]), exports["total"]) == (1, 3)
    sheet = http.get("/api/versions/tone:v1").json()
    assert sheet["version"]["model"] == "tone:v1"
    assert [link["kind"] for link in sheet["trace"]] == ["export", "run", "file", "base"]
    assert sheet["trace"] == http.get("/api/versions/tone:v1/trace").json()
    assert "out/adapter" not in str(sheet)
    assert "/" not in sheet["version"]["base"]


def test_versions_are_edited_compared_and_rolled_back(http: httpx.Client) -> None:
    seen = http.get("/api/versions/house-style:v1").json()["version"]
    edit = {"stage": "approved", "tags": ["Best"], "current": True, "revision": seen["revision"]}
    changed = http.patch("/api/versions/house-style:v1", json=edit).json()
    assert (changed["stage"], changed["tags"], changed["is_current"]) == (
        "approved",
        ["best"],
        True,
    )
    late = http.patch("/api/versions/house-style:v1", json={"notes": "x", "revision": 0})
    assert (late.status_code, late.json()["error"]["code"]) == (409, "entry_changed")
    assert http.patch("/api/versions/house-style:v1", json={"stage": "best"}).status_code == 400

    http.patch("/api/versions/house-style:v2", json={"current": True})
    assert "house-style" in [one["id"] for one in http.get("/v1/models").json()["data"]]
    assert http.get("/v1/models/house-style:v1").json()["id"].startswith("20261101-120100")
    back = http.post("/api/versions/house-style/rollback").json()
    assert back["version"] == "house-style:v1"

    pair = {"a": "house-style", "b": "house-style:v2"}
    lines = http.get("/api/versions/compare", params=pair).json()["lines"]
    assert "optim.learning_rate" in [line["name"] for line in lines if line["differs"]]


def test_a_checkpoint_is_kept_and_deleted_with_a_way_back(http: httpx.Client) -> None:
    source = http.get("/api/versions/house-style:v1").json()["version"]["run"]
    kept = http.post("/api/versions", json={"run": source, "step": 2, "name": "early"})
    assert (kept.status_code, kept.json()["version"]) == (201, "early:v1")
    missing = http.post("/api/versions", json={"run": source, "step": 3})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "checkpoint_missing")

    refused = http.delete("/api/versions/house-style:v1")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "entry_needed")
    item = http.delete("/api/versions/early:v1").json()["item"]
    assert http.get("/api/versions/early:v1").status_code == 404
    assert [one["id"] for one in http.get("/api/trash").json()["items"]] == [item]
    assert http.post(f"/api/trash/{item}/restore").status_code == 204
    item = http.delete("/api/versions/early:v1").json()["item"]
    assert http.delete(f"/api/trash/{item}").json()["bytes"] > 0
    assert http.delete("/api/trash").json() == {"bytes": 0}
    assert http.post(f"/api/trash/{item}/restore").status_code == 404
