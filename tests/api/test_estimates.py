"""The routes about runs that have not begun, on a running app."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from easytune import paths
from tests.patience import PATIENCE_S

ENDED = ("finished", "stopped", "failed", "crashed", "lost")


@pytest.fixture(scope="module")
def http(shared_app: Any) -> Iterator[httpx.Client]:
    """A client of the app, which has an intent of somebody's own."""
    own = shared_app.home / "intents"
    own.mkdir()
    (own / "broken.yaml").write_text("title: [\n", encoding="utf-8")
    with httpx.Client(base_url=shared_app.url, timeout=PATIENCE_S) as client:
        yield client


def _estimate(http: httpx.Client, **config: Any) -> dict[str, Any]:
    reply = http.post("/api/estimate", json={"config": config, "patience_seconds": 30})
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_an_estimate_follows_the_settings(http: httpx.Client) -> None:
    small = _estimate(http)
    large = _estimate(http, schedule={"batch_size": 64}, data={"packing": False})

    assert (small["measuring"], small["verdict"], small["problem"]) == (False, "fits", None)
    assert 0 < small["peak_gb"] < small["free_gb"]
    assert sum(small["parts"].values()) == pytest.approx(small["peak_gb"], rel=0.01)
    assert small["rows"] > 100
    assert small["longest"] <= 1024
    assert large["parts"]["activations"] > small["parts"]["activations"]
    assert large["total_steps"] < small["total_steps"]


def test_what_cannot_be_estimated_says_why(http: httpx.Client) -> None:
    missing = _estimate(http, model={"base_model": "/no/such/model"})
    wrong = http.post("/api/estimate", json={"config": {"lora": {"rank": 0}}})
    unknown = http.post("/api/estimate", json={"config": {"lora": {"rnak": 8}}})

    assert missing["problem"]["code"] == "model_missing"
    assert "/no/such/model" in missing["problem"]["message"]
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "config.lora.rank")
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (400, "config.lora.rnak")


def test_intents_are_told_in_the_language_asked_for(http: httpx.Client) -> None:
    told = {
        lang: http.get("/api/intents", headers={"accept-language": lang}).json()
        for lang in ("en", "zh")
    }

    names = {lang: [one["id"] for one in found["intents"]] for lang, found in told.items()}
    assert {"style", "knowledge", "instructions"} <= set(names["en"])
    assert names["en"] == names["zh"]
    assert all(
        en["title"] != zh["title"]
        for en, zh in zip(told["en"]["intents"], told["zh"]["intents"], strict=True)
    )
    (broken,) = told["en"]["broken"]
    assert (broken["file"], broken["line"] > 0) == ("broken.yaml", True)


def test_a_check_is_begun_followed_and_cancelled(http: httpx.Client, shared_app: Any) -> None:
    begun = http.post("/api/checks", json={"config": {"schedule": {"batch_size": 2}}})
    assert begun.status_code == 202, begun.text
    address = f"/api/checks/{begun.json()['id']}"
    assert begun.json()["state"] not in ENDED
    _until(http, address, lambda found: found["phase"])
    again = http.post("/api/checks", json={})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "check_active")

    assert http.post(f"{address}/cancel").status_code == 200
    ended = _until(http, address, lambda found: found["state"] in ENDED)

    assert ended["state"] == "stopped"
    assert not list(paths.runs(shared_app.home).glob("[!.]*")), "a check is not among the runs"
    gone = http.get("/api/checks/nobody")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "check_missing")


def _until(
    http: httpx.Client, address: str, holds: Callable[[dict[str, Any]], Any]
) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while not holds(found := http.get(address).json()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found
