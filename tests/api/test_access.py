"""Who may call the API, judged without a model."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import HTTPConnection

from easytune.api.access import WRONG_KEYS_PER_ADDRESS, Access
from easytune.api.problems import ApiProblem
from easytune.services.keys import Keys
from easytune.services.store import Store
from tests.patience import PATIENCE_S

PASSWORD = "correct horse"
MODELS = "/v1/models"
KEYS_ARE_READ_AGAIN = 0.7


@pytest.fixture(scope="module")
def key(api: str, shared_app: Any) -> str:
    """A key of the app, made by another process: the app reads keys anew twice a second."""
    return _made(shared_app.home)


def _made(home: Path) -> str:
    secret = Keys(Store(home)).create("test")[1]
    time.sleep(KEYS_ARE_READ_AGAIN)
    return secret


def _get(api: str, path: str = MODELS, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get(f"{api}{path}", headers=named, timeout=PATIENCE_S)


def test_a_program_on_this_machine_needs_no_key(api: str) -> None:
    assert _get(api).status_code == 200
    assert _get(api, authorization="Bearer none").status_code == 200
    assert _get(api.replace("127.0.0.1", "localhost")).status_code == 200


@pytest.mark.parametrize(
    "header", ["x_forwarded_for", "X_Forwarded_Host", "x_forwarded_proto", "forwarded", "via"]
)
def test_what_a_proxy_passes_on_needs_a_key(api: str, key: str, header: str) -> None:
    passed_on = {header: "for=192.0.2.7"}
    refused = _get(api, **passed_on)

    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "missing_api_key"
    assert _get(api, authorization=f"Bearer {key}", **passed_on).status_code == 200


def test_a_foreign_page_is_refused_even_with_a_key(api: str, key: str) -> None:
    for origin in ("http://evil.example", "null"):
        assert _get(api, origin=origin, authorization=f"Bearer {key}").status_code == 403
    assert _get(api, host="evil.example").status_code == 403
    assert _get(api, origin=api).status_code == 200


def test_a_wrong_key_is_refused_here_too_and_many_must_wait(api: str, key: str) -> None:
    wrong = ("Bearer et-guess", "Basic eDp5", f"Bearer {'x' * 9000}", f"Token {key}", "Bearer é")
    for given in wrong:
        refused = httpx.get(
            f"{api}{MODELS}", headers=[(b"authorization", given.encode())], timeout=PATIENCE_S
        )
        assert refused.status_code == 401, given
        assert refused.json()["error"]["code"] == "invalid_api_key"
    guesses = [_get(api, authorization="Bearer et-x") for _ in range(WRONG_KEYS_PER_ADDRESS)]

    assert guesses[-1].status_code == 429
    assert int(guesses[-1].headers["retry-after"]) <= 60
    # Somebody else's guesses do not shut out who has a key.
    assert _get(api, authorization=f"Bearer {key}").status_code == 200


def test_a_deleted_key_opens_nothing(api: str, shared_app: Any) -> None:
    secret = _made(shared_app.home)
    assert _get(api, authorization=f"Bearer {secret}").status_code == 200

    keys = Keys(Store(shared_app.home))
    keys.delete(keys.list()[0].id)
    time.sleep(KEYS_ARE_READ_AGAIN)

    # 429 where the wrong keys of another test came from here too.
    assert _get(api, authorization=f"Bearer {secret}").status_code in (401, 429)


@pytest.fixture
def public(
    start_app: Callable[..., Any], child_environment: dict[str, str]
) -> Callable[..., httpx.Client]:
    """Start the app for the whole network; return a function that makes clients of it."""
    child_environment["EASYTUNE_PASSWORD"] = PASSWORD
    server = start_app("--host", "0.0.0.0")

    def client(host: str = "127.0.0.1") -> httpx.Client:
        return httpx.Client(base_url=f"http://{host}:{server.port}", timeout=PATIENCE_S)

    return client


def test_a_session_opens_the_documentation_and_nothing_else(
    public: Callable[..., httpx.Client], home: Path
) -> None:
    """A cookie is sent by the browser, whoever made it call."""
    visitor = public()
    # As a phone would call it: by a name that is not this machine's own.
    visitor.headers["host"] = "192.0.2.1"
    for path in (MODELS, "/api", "/api/openapi.json", "/api/status"):
        assert visitor.get(path).status_code == 401, path

    visitor.post("/login", data={"password": PASSWORD})
    assert "et_session" in visitor.cookies
    assert visitor.get("/api").status_code == 200
    assert visitor.get("/api/status").status_code == 401
    assert visitor.post("/v1/completions", json={}).status_code == 401
    key = _made(home)
    assert visitor.get(MODELS, headers={"authorization": f"Bearer {key}"}).status_code == 200


def test_whatever_a_tunnel_brings_needs_a_key(tmp_path: Path) -> None:
    """Its calls come from this machine and to this machine's name: nothing tells them apart."""
    scope = {
        "type": "http", "client": ("127.0.0.1", 4000), "headers": [(b"host", b"127.0.0.1:7860")],
    }  # fmt: skip
    keys = Keys(Store(tmp_path))

    asyncio.run(Access(keys, tunnelled=False).judge(HTTPConnection(scope), False))
    with pytest.raises(ApiProblem) as refused:
        asyncio.run(Access(keys, tunnelled=True).judge(HTTPConnection(scope), False))
    assert refused.value.status == 401


@pytest.mark.parametrize("address", ["192.0.2.1", "::ffff:192.0.2.1", "testclient"])
def test_other_machines_need_a_key_whatever_name_they_call(tmp_path: Path, address: str) -> None:
    scope = {"type": "http", "client": (address, 4000), "headers": [(b"host", b"localhost")]}

    with pytest.raises(ApiProblem):
        asyncio.run(Access(Keys(Store(tmp_path)), False).judge(HTTPConnection(scope), False))
