"""How the app starts, who it listens to, and how it ends."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from easytune.errors import PasswordNeeded
from easytune.services.runs import Runs
from easytune.webui import launch
from tests.patience import PATIENCE_S, eventually

ROOT = Path(__file__).resolve().parents[2]
StartRun = Callable[..., Any]


def test_the_app_answers_and_holds_neither_torch_nor_matplotlib(shared_app: Any) -> None:
    answer = httpx.get(f"{shared_app.url}/healthz").json()
    assert answer["status"] == "ok"
    events = httpx.get(f"{shared_app.url}/config", timeout=PATIENCE_S).json()["dependencies"]
    event = next(each for each in events if each["backend_fn"] and not each["inputs"])
    body = {"data": [], "fn_index": event["id"], "session_hash": "x"}
    predict = f"{shared_app.url}/gradio_api/run/predict"
    assert httpx.post(predict, json=body, timeout=PATIENCE_S).status_code == 200
    mapped = Path(f"/proc/{shared_app.process.pid}/maps")
    if not mapped.exists():
        pytest.skip("needs /proc")
    assert "libtorch" not in mapped.read_text()
    assert "matplotlib" not in mapped.read_text()


def test_it_listens_to_this_machine_only(shared_app: Any) -> None:
    connections = psutil.Process(shared_app.process.pid).net_connections()
    listening = {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_a_taken_port_makes_it_take_the_next_and_say_so(shared_app: Any, start_app: Any) -> None:
    second = type(shared_app)(
        shared_app.home.parent, dict(os.environ), "--port", str(shared_app.port)
    )
    try:
        log = _wait_for(second.log, r"open at (http://127\.0\.0\.1:(\d+)/)", second.process)
        assert f"Port {shared_app.port} is in use" in log.string
        assert int(log.group(2)) > shared_app.port
        assert httpx.get(log.group(1) + "healthz").json()["status"] == "ok"
    finally:
        second.kill()


def test_nothing_is_shared_without_a_password(child_environment: dict[str, str]) -> None:
    command = [sys.executable, "webui.py", "--no-browser", "--port", "0", "--share"]
    done = subprocess.run(
        command, cwd=ROOT, env=child_environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode != 0
    assert "EASYTUNE_PASSWORD" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_no_other_address_is_opened_without_a_password(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EASYTUNE_PASSWORD", raising=False)
    for host in ("0.0.0.0", "192.0.2.1", "::"):
        with pytest.raises(PasswordNeeded) as refused:
            launch.run(host=host, port=0, home=home, browser=False)
        assert refused.value.variable == "EASYTUNE_PASSWORD"


def test_other_sites_are_refused(shared_app: Any) -> None:
    same = {"origin": shared_app.url}
    assert httpx.get(f"{shared_app.url}/config", headers=same).status_code == 200
    body = {"data": [], "fn_index": 0, "session_hash": "x"}
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{shared_app.port + 1}"},
        {"host": "evil.example"},
        {"host": f"evil.example:{shared_app.port}", "origin": "http://evil.example"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    ):
        for path in ("/gradio_api/run/predict", "/gradio_api/queue/join", "/config"):
            answer = httpx.post(f"{shared_app.url}{path}", json=body, headers=headers)
            assert answer.status_code == 403, (headers, path)


def test_the_adapter_of_a_run_comes_as_a_zip(shared_app: Any, start_run: StartRun) -> None:
    folder = start_run(shared_app.home, steps=1, name="to download 下载")
    eventually(folder.exit.exists)
    answer = httpx.get(f"{shared_app.url}/download/{folder.id}")
    archive = shared_app.home.parent / "adapter.zip"
    archive.write_bytes(answer.content)
    shown = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(archive)], capture_output=True, text=True
    ).stdout
    assert f"{folder.id}/adapter_model.safetensors" in shown
    for other in ("missing", "%2e%2e%2fsession.key", ".hidden"):
        assert httpx.get(f"{shared_app.url}/download/{other}").status_code == 404, other


def test_sigterm_ends_the_server_and_not_the_run(app: Any, home: Path, start_run: StartRun) -> None:
    folder = start_run(home, steps=400, pause=0.1)
    app.process.send_signal(signal.SIGTERM)
    assert app.process.wait(timeout=PATIENCE_S) == 0
    assert "Traceback" not in app.log.read_text()
    time.sleep(0.5)
    assert Runs(home).story(folder.id).state in ("starting", "running")


def _wait_for(log: Path, pattern: str, process: subprocess.Popen[bytes]) -> re.Match[str]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        text = log.read_text(encoding="utf-8")
        if found := re.search(pattern, text):
            return found
        assert process.poll() is None, text
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))
