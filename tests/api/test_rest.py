"""Our own routes, on a running app with real models."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from easytune.i18n import has
from tests.api.calls import ENDLESS, QUESTION, answering, wait_until_idle
from tests.patience import PATIENCE_S

Event = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def http(api: str) -> Iterator[httpx.Client]:
    """A client of the app."""
    with httpx.Client(base_url=api, timeout=PATIENCE_S) as client:
        yield client


def _events(response: httpx.Response) -> Iterator[Event]:
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def _column(events: list[Event], column: int, name: str) -> list[dict[str, Any]]:
    return [told for kind, told in events if kind == name and told.get("column") == column]


def test_a_model_is_loaded_shown_and_unloaded(http: httpx.Client) -> None:
    listed = {model["id"]: model for model in http.get("/api/models").json()["models"]}
    assert listed["demo"]["kind"] == "base"
    assert listed["demo"]["problem"] is None

    assert http.post("/api/models/load", json={"model": "demo"}).status_code == 202
    with http.stream("POST", "/api/compare", json=_asked("demo")) as response:
        list(_events(response))
    (held,) = http.get("/api/status").json()["held"]
    assert held["id"] == "demo"
    assert held["ready"]["context_length"] == 1024
    assert held["memory_gb"] > 0

    left = http.post("/api/models/unload", json={"model": "demo"}).json()
    assert left["held"] == []
    assert left["given_back"]["model"] == "demo"


def _asked(*models: str, **sampling: Any) -> dict[str, Any]:
    columns = [{"model": model, "sampling": {"temperature": 0} | sampling} for model in models]
    return {"prompt": QUESTION, "columns": columns}


def test_eight_columns_stream_side_by_side(http: httpx.Client) -> None:
    asked = _asked(*["demo"] * 8)
    asked["columns"][1]["sampling"] = {"max_new_tokens": 2, "temperature": 0}
    with http.stream("POST", "/api/compare", json=asked) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = list(_events(response))

    assert events[0][0] == "started"
    assert events[-1][0] == "done"
    texts = ["".join(p["text"] for p in _column(events, n, "piece")) for n in range(8)]
    assert all("Paris" in text for n, text in enumerate(texts) if n != 1)
    assert [_column(events, n, "ended")[0]["reason"] for n in (0, 1)] == ["stop", "length"]
    assert {_column(events, n, "began")[0]["mode"] for n in range(8)} == {"batch"}


def test_a_name_that_is_not_here_starts_no_download(http: httpx.Client) -> None:
    absent = "nobody/nothing"
    asked = {"model": absent, "messages": [{"role": "user", "content": QUESTION}]}
    replies = [
        http.get(f"/v1/models/{absent}"),
        http.post("/v1/chat/completions", json=asked),
        http.post("/v1/completions", json={"model": absent, "prompt": QUESTION}),
        http.post("/api/compare", json=_asked("demo", absent)),
    ]

    assert [reply.status_code for reply in replies] == [404] * 4
    assert {reply.json()["error"]["code"] for reply in replies} == {"model_not_found"}
    assert absent not in {held["id"] for held in http.get("/api/status").json()["held"]}


def test_one_column_is_stopped_and_then_the_rest(http: httpx.Client, api: str) -> None:
    asked = _asked(ENDLESS, ENDLESS, max_new_tokens=100_000)
    with http.stream("POST", "/api/compare", json=asked) as response:
        events = _events(response)
        assert next(events)[0] == "started"
        while next(events)[0] != "piece":
            continue
        (answer,) = answering(api)
        httpx.post(f"{api}/api/answering/{answer}/stop?column=0")
        stopped = next(told for name, told in events if name == "ended")
        assert (stopped["column"], stopped["reason"]) == (0, "cancelled")
        assert answering(api) == [answer]

    wait_until_idle(api)


def test_a_conversation_is_kept_found_and_deleted(http: httpx.Client) -> None:
    question = {"role": "user", "content": "Where is 上海?"}
    made = http.post("/api/conversations", json={"model": "demo", "messages": [question]}).json()
    address = f"/api/conversations/{made['id']}"
    answer = {"role": "assistant", "content": "In China.", "model": "demo"}
    assert http.post(f"{address}/messages", json={"messages": [answer]}).status_code == 201

    found = http.get("/api/conversations", params={"search": "上海"}).json()["conversations"]
    assert [(one["id"], one["messages"]) for one in found] == [(made["id"], 2)]
    read = http.get(address).json()
    assert [message["content"] for message in read["messages"]] == ["Where is 上海?", "In China."]
    assert http.delete(address).status_code == 204
    for gone in (http.get(address), http.delete(address)):
        assert gone.status_code == 404
        assert gone.json()["error"]["code"] == "conversation_missing"


def test_a_hundred_bad_calls_are_told_apart_and_leave_nothing(
    http: httpx.Client, api: str, shared_app: Any
) -> None:
    json_type = {"content-type": "application/json"}
    bad: list[tuple[int, str, str, dict[str, Any]]] = [
        (400, "POST", "/v1/chat/completions", {"content": b'{"model":', "headers": json_type}),
        (400, "POST", "/v1/chat/completions", {"content": b"[" * 100_000, "headers": json_type}),
        (400, "POST", "/v1/chat/completions", {"content": b"model=demo"}),
        (400, "POST", "/v1/chat/completions", {"json": ["demo"]}),
        (400, "POST", "/v1/completions", {"content": rb'{"model":"demo","prompt":"\ud800"}',
                                          "headers": json_type}),
        (400, "POST", "/v1/completions", {"json": {"model": "demo", "prompt": [1, 2]}}),
        (413, "POST", "/v1/completions", {"content": b"x" * (9 << 20), "headers": json_type}),
        (404, "POST", "/v1/completions", {"json": {"model": "nobody", "prompt": "x"}}),
        (404, "GET", "/v1/files", {}),
        (405, "DELETE", "/v1/models", {}),
        (400, "POST", "/api/compare", {"json": {"columns": []}}),
        (404, "POST", "/api/compare", {"json": _asked("nobody")}),
        (400, "POST", "/api/compare", {"json": _asked("demo", temperature=9)}),
    ]  # fmt: skip
    process = psutil.Process(shared_app.process.pid)
    for status, method, path, call in bad:
        _check(http.request(method, path, **call), status)
    threads, memory = process.num_threads(), process.memory_info().rss
    for number in range(100):
        status, method, path, call = bad[number % len(bad)]
        _check(http.request(method, path, **call), status)

    assert answering(api) == []
    assert process.num_threads() <= threads + 2
    assert process.memory_info().rss < memory + 40 * 2**20


def _check(response: httpx.Response, status: int) -> None:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_everything_that_can_be_called_is_explained(http: httpx.Client, lang: str) -> None:
    spoken = {"accept-language": lang}
    schema = http.get("/api/openapi.json", headers=spoken).json()
    page = http.get("/api", headers=spoken).text

    calls = [call for route in schema["paths"].values() for call in route.values()]
    assert len(calls) >= 15
    assert [c["operationId"] for c in calls if not has(_summary(c), lang)] == []
    silent = [
        f"{name}.{field}"
        for name, model in schema["components"]["schemas"].items()
        for field, content in model.get("properties", {}).items()
        if not content.get("description")
    ]
    assert silent == []
    assert all(call["summary"] in page for call in calls)
    # Nothing in the page is fetched from elsewhere.
    assert "src=" not in page
    assert "<link" not in page


def _summary(call: dict[str, Any]) -> str:
    return f"api.operation.{call['operationId']}.summary"
