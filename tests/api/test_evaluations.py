"""The routes about evaluations, on a running app."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE_S
from tests.services import evaluated

ENDED = ("finished", "stopped", "failed", "crashed", "lost")


@pytest.fixture(scope="module")
def http(shared_app: Any) -> Iterator[httpx.Client]:
    """A client of the app, whose home has an evaluation that has ended."""
    evaluated.put(shared_app.home)
    with httpx.Client(base_url=shared_app.url, timeout=PATIENCE_S) as client:
        yield client


@pytest.fixture(scope="module")
def done(http: httpx.Client) -> str:
    """The address of the evaluation that has ended."""
    (listed,) = http.get("/api/evaluations", params={"search": "tone@40"}).json()["evaluations"]
    return f"/api/evaluations/{listed['id']}"


def test_a_result_has_figures_differences_and_sentences(http: httpx.Client, done: str) -> None:
    status, found = http.get(done).json(), http.get(f"{done}/result").json()

    assert (status["state"], status["has_result"], status["done"]) == ("finished", True, 180)
    wanted = ("exact_match", 2)
    (one,) = [s for s in found["scores"] if (s["metric"], s["candidate"]) == wanted]
    assert one["against_first"]["low"] > 0
    assert one["sentence"].startswith("better by 48.3")
    assert found["forgetting"][1]["score"] == pytest.approx(0.62)
    assert [one["fingerprint"] for one in found["candidates"]] == ["ab12", "cd20", "cd40"]
    assert "/secret" not in str(found)
    chinese = http.get(f"{done}/result", headers={"accept-language": "zh"}).json()
    assert chinese["scores"][1]["sentence"] != found["scores"][1]["sentence"]


def test_evaluations_are_put_side_by_side(http: httpx.Client, done: str) -> None:
    id = done.rpartition("/")[2]

    table = http.get("/api/evaluations/compare", params={"ids": [id]}).json()

    assert [column["model"] for column in table["columns"]] == ["demo", "tone@20", "tone@40"]
    (exact,) = [row for row in table["rows"] if row["metric"] == "exact_match"]
    assert (len(exact["figures"]), exact["differs"]) == (3, True)


def test_reports_come_in_every_form_and_run_nothing(http: httpx.Client, done: str) -> None:
    for form, start in (
        ("html", "<!doctype html>"), ("markdown", "# House"), ("csv", "\ufeffmodel,"),
        ("rows", "\ufeffset,"), ("json", "{"),
    ):  # fmt: skip
        reply = http.get(f"{done}/report", params={"form": form})
        assert reply.status_code == 200, reply.text
        assert reply.content.decode().startswith(start)
        assert reply.headers["content-security-policy"] == "sandbox"
    assert http.get(f"{done}/report", params={"form": "pdf"}).status_code == 400


def test_an_evaluation_is_started_followed_stopped_and_deleted(http: httpx.Client) -> None:
    config = {"test": {"rows": 3}, "sampling": {"max_new_tokens": 4}}
    begun = http.post("/api/evaluations", json={"config": config})
    assert begun.status_code == 202, begun.text
    told = begun.json()
    assert told["config"]["sampling"] | config["sampling"] == told["config"]["sampling"]
    assert told["config"]["sampling"]["temperature"] == 0, "as evaluations have it, not as chats"
    address = f"/api/evaluations/{told['id']}"
    early = http.get(f"{address}/result")
    assert (early.status_code, early.json()["error"]["code"]) == (409, "evaluation_unfinished")

    assert http.post(f"{address}/stop", json={"now": True}).status_code == 200
    deadline = time.monotonic() + 60
    while (found := http.get(address).json())["state"] not in ENDED:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)

    assert found["state"] == "stopped"
    assert http.delete(address).status_code == 204
    assert http.get(address).json()["error"]["code"] == "evaluation_missing"


@pytest.mark.parametrize(
    ("config", "status", "code"),
    [
        ({"candidates": {"models": ["nobody"]}}, 404, "model_not_found"),
        ({"test": {"rows": 0}}, 400, None),
        ({"test": {"rowz": 3}}, 400, None),
        ({"test": {"datasets": ["/no/such/file.jsonl"]}}, 400, "file_missing"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    http: httpx.Client, config: dict[str, Any], status: int, code: str | None
) -> None:
    reply = http.post("/api/evaluations", json={"config": config})

    assert reply.status_code == status, reply.text
    assert reply.json()["error"]["message"]
    if code is not None:
        assert reply.json()["error"]["code"] == code
