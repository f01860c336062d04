"""An app that others can reach lets in only who knows the password."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from easytune.webui.login import Attempts, Sessions, secret_key

PASSWORD = "correct horse"
# Pages, the API, uploads, files, our downloads: nothing may answer without a session.
CLOSED = (
    "/", "/config", "/gradio_api/info", "/gradio_api/upload", "/gradio_api/queue/data",
    "/gradio_api/file=/etc/passwd", "/download/some-run", "/monitoring", "/theme.css", "/docs",
    "/gradio_api/heartbeat/x", "/login_check", "/assets/index.js", "/gradio_api/startup-events/",
)  # fmt: skip


@pytest.fixture
def guarded(
    start_app: Callable[..., Any], child_environment: dict[str, str]
) -> Iterator[Callable[..., httpx.Client]]:
    """Start the app for the whole network with a password; return a function that makes clients."""
    child_environment["EASYTUNE_PASSWORD"] = PASSWORD
    server = start_app("--host", "0.0.0.0")
    clients: list[httpx.Client] = []

    def client(address: str = "127.0.0.1") -> httpx.Client:
        transport = httpx.HTTPTransport(local_address=address)
        # A refused body is not read, and its connection not used again.
        headers = {"connection": "close"}
        clients.append(httpx.Client(base_url=server.url, transport=transport, headers=headers))
        return clients[-1]

    yield client
    for each in clients:
        each.close()


def test_only_the_right_password_opens_the_app_and_wrong_ones_must_wait(guarded: Any) -> None:
    visitor = guarded()
    for path in CLOSED:
        assert visitor.get(path).status_code in (303, 401), path
        assert visitor.post(path, json={}).status_code in (303, 401), path
    assert visitor.get("/", headers={"accept": "text/html"}).headers["location"] == "/login"
    assert visitor.get("/healthz").json()["status"] == "ok"

    thief = guarded("127.0.0.2")
    answers = [thief.post("/login", data={"password": f"guess {n}"}) for n in range(7)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2
    assert "Too many wrong passwords" in answers[-1].text
    assert thief.post("/login", data={"password": PASSWORD}).status_code == 429

    entered = visitor.post("/login", data={"password": PASSWORD})
    assert entered.status_code == 303
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "gradio" in visitor.get("/").text
    assert visitor.get("/gradio_api/user").json() == "visitor"
    foreign = {"origin": "http://evil.example"}
    assert visitor.get("/config", headers=foreign).status_code == 403


def test_a_session_outlives_the_server_but_not_a_change_of_password(tmp_path: Path) -> None:
    cookie = Sessions(secret_key(tmp_path), "old").issue()
    assert Sessions(secret_key(tmp_path), "old").is_valid(cookie)
    assert not Sessions(secret_key(tmp_path), "new").is_valid(cookie)
    if os.name == "posix":
        assert (tmp_path / "session.key").stat().st_mode & 0o777 == 0o600


def test_forged_and_expired_sessions_are_refused(tmp_path: Path) -> None:
    sessions = Sessions(secret_key(tmp_path), "word")
    good = sessions.issue()
    expires, _, signature = good.partition(".")
    later = f"{int(expires) + 1}.{signature}"
    for cookie in (None, "", ".", good[:-1], later, "é.ü", sessions.issue(now=0)):
        assert not sessions.is_valid(cookie), cookie


def test_many_addresses_together_are_slowed_down_too() -> None:
    now = 1000.0
    attempts = Attempts(clock=lambda: now)
    for number in range(Attempts.IN_ALL):
        attempts.failed(f"10.0.0.{number}")
    assert attempts.wait_seconds("10.9.9.9") > 0
    now += Attempts.WINDOW_SECONDS + 1
    assert attempts.wait_seconds("10.9.9.9") == 0
