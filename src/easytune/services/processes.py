"""Who a process is, and how to start and end it with all it starts. Standard library only.

Linux is what we run on every day. The branches for macOS and Windows follow their documentation
and are not tried there.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

if sys.platform == "win32":
    from easytune.services import windows

MARK = "EASYTUNE_JOB"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PROC = Path("/proc")


@dataclass(frozen=True)
class Identity:
    """One process and no other: a pid is used again, a pid with its start time is not."""

    pid: int
    started: str


class StartOptions(TypedDict, total=False):
    """Options of `Popen` that decide whom a new process belongs to."""

    creationflags: int
    start_new_session: bool
    preexec_fn: Callable[[], None]


def boot_id() -> str:
    """Return what names the time since the machine started; empty where it cannot be told."""
    if sys.platform == "linux":
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "kern.bootsessionuuid")
    return ""


def identify(pid: int) -> Identity | None:
    """Return who has this pid now; None for nobody, or for one that has ended already."""
    if sys.platform == "linux":
        stat = _stat(pid)
        return Identity(pid, stat[19]) if stat and stat[0] not in "ZX" else None
    if sys.platform == "win32":
        started = windows.start_time(pid)
    else:
        started = _output("ps", "-o", "lstart=", "-p", str(pid))
    return Identity(pid, started) if started else None


def is_alive(identity: Identity) -> bool:
    """Tell whether that very process still runs."""
    return identify(identity.pid) == identity


def detached() -> StartOptions:
    """Return the `Popen` options of a process that outlives its parent and its terminal."""
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        return {"creationflags": flags}
    return {"start_new_session": True}


def watched() -> StartOptions:
    """Return the `Popen` options of a process that ends when its parent does.

    Call `guard` on it afterwards: that is how it is done outside Linux.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    if sys.platform == "linux":
        return {"start_new_session": True, "preexec_fn": _die_with(os.getpid())}
    return {"start_new_session": True}


def guard(process: subprocess.Popen[bytes]) -> Any:
    """Return an object whose end, or whose owner's end, is the end of `process` and its children.

    On Linux the kernel sees to that already.
    """
    if sys.platform == "linux":
        return None
    if sys.platform == "win32":
        return windows.job_of(process)
    return pipe_guard(process.pid)


def pipe_guard(group: int) -> subprocess.Popen[bytes]:
    """Start a process that kills `group` once this process is gone; kill it when not needed."""
    code = f"import os, signal; os.read(0, 1); os.killpg({group}, signal.SIGKILL)"
    return subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, start_new_session=True
    )


def adopt_orphans() -> None:
    """Become the parent of every orphan among our descendants, so that `kill_all` finds them."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap(process: subprocess.Popen[bytes]) -> int | None:
    """Return the exit code of `process` if it has ended, and bury adopted orphans that have."""
    if sys.platform == "win32":
        return process.poll()
    while process.returncode is None:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return process.poll()
        if pid == 0:
            return None
        if pid == process.pid:
            process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode


def wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Sleep until `process`, a child of ours, ends; at most `seconds`."""
    if sys.platform == "linux":
        try:
            descriptor = os.pidfd_open(process.pid)
        except OSError:  # a kernel from before 2019, or a sandbox without the call
            return time.sleep(seconds)
        select.select([descriptor], [], [], seconds)
        return os.close(descriptor)
    return time.sleep(seconds)


def environment_of(mark: Path | str) -> dict[str, str]:
    """Return the environment of a job by whose mark, its folder, `kill_marked` finds it."""
    found = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    # The job runs in its own folder, where a relative path leads nowhere.
    paths = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, found))} if found else {}
    return os.environ | paths | {MARK: str(mark)}


def terminate(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, by signal."""
    if sys.platform == "win32":
        os.kill(process.pid, signal.CTRL_BREAK_EVENT)
    else:
        process.terminate()


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill `process`, a child of ours, and all that it or its children started."""
    if sys.platform == "win32":
        subprocess.run(
            ["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False
        )
    elif sys.platform == "linux":
        _kill_until_none(lambda: descendants(os.getpid()))
    else:
        _kill(process.pid, group=True)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill `process`, started with `watched` or `detached`, and what shares its group."""
    if sys.platform == "win32" or process.poll() is None:
        _kill_group(process.pid)


def kill_group_of(identity: Identity) -> None:
    """Kill a process that anybody started with `detached`, and what shares its group."""
    if is_alive(identity):
        _kill_group(identity.pid)


def kill_marked(mark: Path | str) -> int:
    """Kill what a job left behind when its runner was killed; return how many that were.

    Found by the mark in the environment, which every descendant inherits: the job's folder, or
    what `process.json` says. Linux only.
    """
    return _kill_until_none(lambda: _marked(mark)) if sys.platform == "linux" else 0


def descendants(pid: int) -> list[int]:
    """Return the living descendants of a process, by pid. Linux only."""
    parents: dict[int, list[int]] = {}
    for child in _pids():
        stat = _stat(child)
        if stat and stat[0] not in "ZX":
            parents.setdefault(int(stat[1]), []).append(child)
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _die_with(parent: int) -> Callable[[], None]:
    # Looked up here: between fork and exec another thread's lock may never be let go.
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The parent may have gone before the line above took effect.
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/<pid>/stat from the third (state) on."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name before the last bracket may hold blanks and brackets of its own.
    return text[text.rindex(")") + 1 :].split()


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir(_PROC) if entry.isdigit()]


def _marked(mark: Path | str) -> list[int]:
    wanted = f"{MARK}={mark}".encode()
    return [pid for pid in _pids() if pid != os.getpid() and wanted in _environment(pid)]


def _environment(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _kill_until_none(find: Callable[[], list[int]], patience_s: float = 5.0) -> int:
    """Kill what `find` returns until it finds nothing: a process may fork while we look."""
    killed: set[int] = set()
    give_up = time.monotonic() + patience_s
    while (found := find()) and time.monotonic() < give_up:
        for pid in found:
            _kill(pid)
        killed.update(found)
        time.sleep(0.01)
    return len(killed)


def _kill_group(pid: int) -> None:
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(pid)], capture_output=True, check=False)
    else:
        _kill(pid, group=True)


def _kill(pid: int, *, group: bool = False) -> None:
    if sys.platform == "win32":
        return
    try:
        (os.killpg if group else os.kill)(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _output(*command: str) -> str:
    # The C locale, since a date in the user's language would not compare equal to itself.
    environment = os.environ | {"LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return done.stdout.strip()
