"""Imports over REST: a check, its findings, and a decision."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.inspecting import sound, zoo_files
from tests.patience import PATIENCE_S, eventually

ENDED = ("finished", "stopped", "failed", "crashed", "lost")


@pytest.fixture(scope="module")
def http(shared_app: Any) -> Iterator[httpx.Client]:
    """A client of the app."""
    with httpx.Client(base_url=shared_app.url, timeout=PATIENCE_S) as client:
        yield client


def _packed(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"adapter/{path.name}")
    return packed.getvalue()


def test_an_upload_is_checked_imported_and_can_be_asked(http: httpx.Client, tmp_path: Path) -> None:
    content = _packed(sound.make(tmp_path / "adapter"))

    begun = http.post(
        "/api/imports/upload",
        files={"file": ("adapter.zip", content)},
        data={"base": "demo", "name": "Guest"},
    )

    assert begun.status_code == 202, begun.text
    address = f"/api/imports/{begun.json()['id']}"
    eventually(lambda: http.get(address).json()["state"] in ENDED, lambda: http.get(address).text)
    story = http.get(address).json()
    assert (story["state"], story["verdict"], story["can_import"]) == ("finished", "passed", True)
    assert story["unseen"]
    accepted = http.post(f"{address}/accept", json={})
    assert accepted.json()["decision"] == "imported", accepted.text
    again = http.post(f"{address}/accept", json={})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "import_decided")
    listed = eventually(lambda: [m for m in _models(http) if m["title"] == "Guest"])
    assert listed[0]["base"] == "demo"


def test_a_hostile_folder_is_refused_with_its_reasons(http: httpx.Client, tmp_path: Path) -> None:
    adapter = sound.make(tmp_path / "adapter")
    (adapter / "optimizer.pt").write_bytes(zoo_files.in_zip())

    begun = http.post("/api/imports", json={"path": str(adapter), "base": "demo"})

    story = begun.json()
    assert (story["state"], story["verdict"]) == ("finished", "refused")
    assert {one["code"] for one in story["findings"]} == {"pickle_file"}
    refused = http.post(f"/api/imports/{story['id']}/accept", json={"warnings": True})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "import_refused")
    assert http.delete(f"/api/imports/{story['id']}").status_code == 204


def _models(http: httpx.Client) -> list[dict[str, Any]]:
    return http.get("/api/models").json()["models"]
