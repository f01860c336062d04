"""The routes about datasets, on a running app with real uploads."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from easytune.services.uploads import FOLDER
from tests.patience import PATIENCE_S, eventually

ROWS = [
    {"prompt": "Say hi", "completion": "Hi  there"},
    {"prompt": "Say bye", "completion": "Goodbye"},
    {"prompt": "No answer"},
]
BOUNDARY = "parting"


@pytest.fixture(scope="module")
def http(api: str) -> Iterator[httpx.Client]:
    """A client of the app."""
    with httpx.Client(base_url=api, timeout=PATIENCE_S) as client:
        yield client


def _lines(rows: list[dict[str, str]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _ended(http: httpx.Client, task: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (found := http.get(f"/api/data-tasks/{task}").json())["state"] in ("waiting", "running"):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def _uploaded(http: httpx.Client, title: str, rows: list[dict[str, str]]) -> str:
    """Upload rows and return the address of the new dataset."""
    files = {"file": (f"{title}.jsonl", _lines(rows))}
    reply = http.post("/api/datasets", files=files, data={"title": title})
    assert reply.status_code == 202, reply.text
    (made,) = _ended(http, reply.json()["id"])["result"]["made"]
    return f"/api/datasets/{made['dataset']}"


def test_an_upload_becomes_a_dataset_whose_rows_can_be_read(http: httpx.Client) -> None:
    address = _uploaded(http, "Read me", ROWS)

    listed = http.get("/api/datasets").json()["datasets"]
    assert "read-me" in [one["id"] for one in listed]
    assert http.get(address).json()["current"]["problems"] == 1
    page = http.get(f"{address}/rows", params={"first": 1, "limit": 2}).json()
    assert page["total"] == 3
    assert [row["row"] for row in page["rows"]] == ROWS[1:]
    assert "completion" in page["rows"][1]["problem"]["message"]
    found = http.get(f"{address}/rows", params={"search": "goodbye"}).json()
    assert (found["total"], found["rows"][0]["position"]) == (1, 1)


def test_steps_are_shown_and_taken(http: httpx.Client) -> None:
    address = _uploaded(http, "Clean me", ROWS)
    steps = [{"clean": {"whitespace": True}}]

    shown = http.post(f"{address}/preprocess", json={"steps": steps}).json()
    assert [(row["original"], row["processed"]) for row in shown["rows"]] == [
        (ROWS[0], ROWS[0] | {"completion": "Hi there"})
    ]
    assert shown["task"] is None
    saved = http.post(f"{address}/preprocess", json={"steps": steps, "save": True}).json()
    assert _ended(http, saved["task"])["result"]["number"] == 2
    differing = http.get(f"{address}/diff", params={"before": 1}).json()
    assert (differing["after"], differing["changed"], differing["same"]) == (2, 1, 2)
    assert differing["changes"][0]["after"]["row"]["completion"] == "Hi there"
    wrong = http.post(f"{address}/preprocess", json={"steps": ["claen"]})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "step_unknown")


def test_versions_are_made_read_and_rolled_back_to(http: httpx.Client) -> None:
    address = _uploaded(http, "Mend me", ROWS)
    mended = ROWS[2] | {"completion": "Now there is one"}
    edits = [
        {"action": "replace", "position": 2, "row": mended},
        {"action": "drop", "position": 0},
        {"action": "insert", "position": 3, "row": ROWS[0]},
    ]

    made = http.post(f"{address}/versions", json={"edits": edits, "author": "ann"})
    assert made.status_code == 201, made.text
    assert (made.json()["version"]["number"], made.json()["version"]["problems"]) == (2, 0)
    rows = http.get(f"{address}/rows").json()["rows"]
    assert [row["row"] for row in rows] == [ROWS[1], mended, ROWS[0]]

    back = http.post(f"{address}/versions/1/rollback", json={"note": "undo"}).json()
    assert (back["number"], back["note"], back["current"]) == (3, "undo", True)
    versions = http.get(f"{address}/versions").json()["versions"]
    assert [one["number"] for one in versions] == [3, 2, 1]
    assert versions[0]["fingerprint"] == versions[2]["fingerprint"]
    same = http.post(f"{address}/versions/1/rollback", json={})
    assert (same.status_code, same.json()["error"]["code"]) == (409, "nothing_changed")


def test_what_is_not_there_and_what_is_no_form_is_told_apart(http: httpx.Client) -> None:
    address = _uploaded(http, "Refuse me", ROWS)
    refused = [
        (404, http.get("/api/datasets/nobody")),
        (404, http.get("/api/datasets/..%2Fnobody/rows")),
        (404, http.get(f"{address}/versions/7")),
        (404, http.get("/api/data-tasks/nothing")),
        (400, http.post(f"{address}/versions", json={})),
        (400, http.post("/api/datasets", json={"title": "x"})),
        (400, http.post("/api/datasets", data={"title": "x"}, files={"none": ("", b"")})),
        (404, http.post("/api/datasets", data={"dataset": "nobody"}, files={"f": ("a.csv", b"a")})),
        (413, http.post(f"{address}/versions", content=b"x" * (9 << 20))),
    ]

    for status, reply in refused:
        assert reply.status_code == status, reply.text
        assert reply.json()["error"]["message"]
        assert not reply.json()["error"]["message"].startswith("error.")


def test_a_large_upload_is_never_in_memory_and_one_that_breaks_off_leaves_nothing(
    http: httpx.Client, api: str, shared_app: Any
) -> None:
    process = psutil.Process(shared_app.process.pid)
    before = process.memory_info().rss
    kept = {one["id"] for one in http.get("/api/datasets").json()["datasets"]}
    head = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=file; filename=big.jsonl\r\n\r\n"
    ).encode()
    row = json.dumps({"prompt": "q", "completion": "a" * 4000}).encode() + b"\n"
    address = urlsplit(api)
    with socket.create_connection((address.hostname, address.port or 80)) as connection:
        connection.sendall(
            b"POST /api/datasets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000000\r\n"
            b"Content-Type: multipart/form-data; boundary=" + BOUNDARY.encode() + b"\r\n\r\n" + head
        )
        for _ in range(200):
            connection.sendall(row * 256)
        uploads = shared_app.home / FOLDER
        eventually(lambda: sum(f.stat().st_size for f in uploads.glob("*/big.jsonl")) > 150 << 20)
        assert process.memory_info().rss < before + (60 << 20)

    eventually(lambda: not list(uploads.iterdir()))
    assert {one["id"] for one in http.get("/api/datasets").json()["datasets"]} == kept
