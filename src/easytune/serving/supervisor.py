"""Keeps one server running: starts it, asks after its health, starts it again when it fails.

Run as `python -m easytune.serving.supervisor <deployment folder>`, detached, like the runner of a
job (`services/runner.py`): it needs neither the app nor a terminal, and the server ends when it
does. Standard library only.
"""

import json
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Literal

from easytune import locks, oom, records
from easytune.services import attending, processes
from easytune.services.server_orders import Orders

# The names in `easytune.deployment_files`, which would load pydantic; a test holds them equal.
LOCK, STOP, LOG, LAUNCH = "lock", "stop", "log.txt", "launch.json"
PROCESS, STATUS, EXIT, FAILURE = "process.json", "status.json", "exit.json", "failure.json"
METRICS = "metrics.json"

State = Literal["starting", "healthy", "unhealthy", "restarting", "stopping"]
REFUSED = 78
"""Exit code of a server that would fail again however often it is started (EX_CONFIG)."""
INSTANCE = "EASYTUNE_INSTANCE"
"""Environment variable with what the server has to say under `Orders.proof` in its health."""
POLL_S = 0.2
BEAT_S = 2.0
LONGEST_LOG, KEPT_LOG = 4 << 20, 256 << 10
_LONGEST_PAUSE_S = 30.0
_LONGEST_HEALTH = 64 << 10


def main(arguments: list[str]) -> None:
    """Supervise the server of the deployment in the folder named first, until it shall end."""
    folder = Path(arguments[0]).resolve()
    lock = locks.hold(folder / LOCK)
    if lock is None:
        return
    with lock:
        content = records.read(folder / LAUNCH)
        if content is not None:
            Supervisor(folder, Orders.of(content), _secret()).run()


def _secret() -> str:
    """Return the key that the app has written into our input; empty where none is needed."""
    return "" if sys.stdin is None or sys.stdin.closed else sys.stdin.readline().strip()


class Supervisor:
    """The time from one start of a deployment to its end, with all its restarts."""

    def __init__(self, folder: Path, orders: Orders, secret: str = "") -> None:
        """Prepare to keep the server of `folder` up, whose lock the caller holds."""
        self._folder, self._orders, self._secret = folder, orders, secret
        self._signalled = False
        self._starts = 0
        self._failures = 0
        self._healthy_since: float | None = None
        self._last: dict[str, Any] | None = None
        self._told: dict[str, Any] = {}
        self._beaten = 0.0

    def run(self) -> None:
        """Keep the server up until somebody asks for its end or it fails too often."""
        began = attending.now()
        processes.adopt_orphans()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        for name in (EXIT, STATUS, FAILURE, METRICS):
            (self._folder / name).unlink(missing_ok=True)
        records.write(self._folder / PROCESS, attending.identities(None))
        try:
            outcome = self._keep_up()
        except OSError as problem:
            outcome = {"state": "crashed", "reason": "cannot_start", "error": str(problem)}
        ended = {"began": began, "ended": attending.now(), "starts": self._starts}
        attending.record_end(self._folder / EXIT, {**(self._last or {}), **outcome, **ended})

    def _keep_up(self) -> dict[str, Any]:
        while True:
            kills = oom.kills()
            code = self._serve()
            if self._is_asked:
                return {"state": "stopped", "reason": "signal" if self._signalled else "asked"}
            self._failures += 1
            said = records.read(self._folder / FAILURE) or {}
            killed = {"oom_kills": oom.rise(kills), "at": attending.now()}
            self._last = {**said, **attending.ending(code), **killed}
            if code == REFUSED:
                return {"state": "crashed", "reason": "refused"}
            if self._failures > self._orders.restarts:
                return {"state": "crashed", "reason": "gave_up"}
            self._pause()
            if self._is_asked:
                return {"state": "stopped", "reason": "asked"}

    def _serve(self) -> int:
        """Start the server once and attend to it until it has ended; return its exit code."""
        (self._folder / FAILURE).unlink(missing_ok=True)
        self._starts += 1
        self._healthy_since = None
        instance = secrets.token_hex(8)
        server = attending.start(
            self._folder, self._orders.command, self._folder / LOG, self._environment(instance)
        )
        guard = processes.guard(server)
        try:
            self._tell("starting", server=attending.who(server.pid))
            return self._attend(server, instance)
        finally:
            attending.close(server, guard)

    def _environment(self, instance: str) -> dict[str, str]:
        variable = self._orders.secret_variable
        secret = {variable: self._secret} if variable and self._secret else {}
        return {**self._orders.environment, **secret, INSTANCE: instance}

    def _attend(self, server: subprocess.Popen[bytes], instance: str) -> int:
        began, looked, sick_since = time.monotonic(), float("-inf"), None
        while (code := processes.reap(server)) is None:
            if self._is_asked:
                return self._end(server)
            now = time.monotonic()
            if now - looked >= self._orders.every_s:
                problem = self._problem(instance)
                looked = time.monotonic()
                sick_since = None if problem is None else sick_since or looked
                self._judge(problem)
            if self._is_hopeless(began, sick_since):
                self._tell("stopping", **self._kept())
                return self._end(server)
            self._beat()
            processes.wait(server, POLL_S)
        return code

    def _judge(self, problem: str | None) -> None:
        """Tell how the server is, from what its health has just been."""
        kept = self._kept()
        if problem is None:
            self._healthy_since = self._healthy_since or time.monotonic()
            if time.monotonic() - self._healthy_since > self._orders.steady_s:
                self._failures = 0
            self._tell("healthy", **kept)
        elif self._healthy_since is None:
            self._tell("starting", problem=problem, **kept)
        else:
            self._tell("unhealthy", problem=problem, **kept)

    def _is_hopeless(self, began: float, sick_since: float | None) -> bool:
        """Tell whether the server has been silent for so long that a new one is better."""
        now = time.monotonic()
        if self._healthy_since is None:
            return now - began > self._orders.start_s
        return sick_since is not None and now - sick_since > self._orders.unhealthy_s

    def _problem(self, instance: str) -> str | None:
        """Ask the server how it is; return what is wrong, None when nothing is."""
        try:
            # A proxy for the world outside has nothing to do with this machine.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(self._orders.health, timeout=self._orders.patience_s) as reply:
                said = reply.read(_LONGEST_HEALTH)
        except (OSError, ValueError) as error:
            return str(error)[:200]
        if not self._orders.proof:
            return None
        # Anybody may listen on that port; this very server knows what we told it.
        try:
            named = json.loads(said).get(self._orders.proof)
        except (ValueError, AttributeError):
            named = None
        return None if named == instance else "another program answers on this port"

    def _end(self, server: subprocess.Popen[bytes]) -> int:
        """End the server: asked first, killed once its grace is over; return its exit code."""
        self._tell("stopping", **self._kept())
        processes.terminate(server)
        give_up = time.monotonic() + self._orders.grace_s
        while (code := processes.reap(server)) is None:
            if time.monotonic() > give_up:
                processes.kill_all(server)
            processes.wait(server, POLL_S)
        return code

    def _pause(self) -> None:
        """Wait before the next start, longer with every failure."""
        pause = min(_LONGEST_PAUSE_S, self._orders.backoff_s * 2 ** (self._failures - 1))
        until = time.monotonic() + pause
        self._tell("restarting", failure=self._last, pause_s=pause)
        while time.monotonic() < until and not self._is_asked:
            self._beat()
            time.sleep(min(POLL_S, pause))

    @property
    def _is_asked(self) -> bool:
        return self._signalled or (self._folder / STOP).exists()

    def _kept(self) -> dict[str, Any]:
        return {"server": self._told.get("server")}

    def _tell(self, state: State, **facts: Any) -> None:
        """Write how it stands, if that is new."""
        said = {"state": state, "starts": self._starts, "failures": self._failures,
                "failure": self._last, **facts}  # fmt: skip
        since = self._told.get("since")
        if state != self._told.get("state"):
            since = attending.now()
        said["since"] = since
        if said == self._told:
            return
        self._told = said
        try:
            records.write(self._folder / STATUS, said)
        except OSError:
            # A full disk must not end a server that answers.
            return

    def _beat(self) -> None:
        """Show that we live, and keep the log within bounds."""
        if time.monotonic() - self._beaten < BEAT_S:
            return
        self._beaten = time.monotonic()
        try:
            (self._folder / STATUS).touch()
            trim(self._folder / LOG)
        except OSError:
            return

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signalled = True


def trim(log: Path, longest: int = LONGEST_LOG, kept: int = KEPT_LOG) -> None:
    """Keep only the end of a log that has grown out of bounds. Raises OSError.

    Who writes it appends, so that the file can be cut under its hands.
    """
    if log.stat().st_size <= longest:
        return
    with log.open("r+b") as file:
        file.seek(-kept, 2)
        end = file.read().partition(b"\n")[2]
        file.seek(0)
        file.write(end)
        file.truncate()


if __name__ == "__main__":
    main(sys.argv[1:])
