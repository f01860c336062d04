"""A run in several processes of this machine: starts them, watches them, says how the run ended.

The job's own process only waits here. It takes no part in the run, so that a process that is killed
for memory is seen from outside. They meet at a file in the job's folder: a port could be taken by
somebody else between choosing and using it.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from easytune import records
from easytune.engine.stopping import StopSignal
from easytune.errors import RankEnded
from easytune.events import Event, Failed
from easytune.job import JobFolder

MEETING = "meeting"
_POLL_S = 0.1
# What the others get to say why they cannot go on without the one that has ended.
_LAST_WORDS_S = 10.0
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def folder_of(job: JobFolder) -> Path:
    """Return where the processes meet and leave their last words."""
    return job.path / "ranks"


def outcome_file(job: JobFolder, rank: int) -> Path:
    """Return where one of the processes writes how it ended."""
    return folder_of(job) / f"{rank}.json"


def run(job: JobFolder, count: int, stop: StopSignal) -> Event:
    """Do a training job in `count` processes; return how it ended.

    Raises RankEnded when one of them ended without a word.
    """
    shutil.rmtree(folder_of(job), ignore_errors=True)
    folder_of(job).mkdir()
    started = [_start(job, rank, count) for rank in range(count)]
    try:
        _watch(started, stop)
    finally:
        for process in started:
            process.kill()
            process.wait()
    return _outcome(job, [process.returncode for process in started])


def _start(job: JobFolder, rank: int, count: int) -> subprocess.Popen[bytes]:
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // count))
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    known = {name: str(number) for name, number in place.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "easytune.engine.rank", str(job.path)],
        env=os.environ | known | {"OMP_NUM_THREADS": threads},
        stdin=subprocess.DEVNULL,
    )


def _watch(started: list[subprocess.Popen[bytes]], stop: StopSignal) -> None:
    """Wait until all have ended, or one has failed and the others have had time to say so."""
    told, give_up = False, float("inf")
    while any(process.poll() is None for process in started) and time.monotonic() < give_up:
        if stop.asked() and not told:
            # The stop file they see themselves; a signal came to this process alone.
            started[0].send_signal(signal.SIGTERM)
            told = True
        if give_up == float("inf") and any(process.poll() for process in started):
            give_up = time.monotonic() + _LAST_WORDS_S
        time.sleep(_POLL_S)


def _outcome(job: JobFolder, codes: list[int]) -> Event:
    """Return the first process's last word, unless one failed: the first failure is the cause."""
    words = {rank: word for rank in range(len(codes)) if (word := _last_word(job, rank))}
    if not any(codes) and 0 in words:
        return words[0]
    silent = [rank for rank, code in enumerate(codes) if code and rank not in words]
    failures = [word for word in words.values() if isinstance(word, Failed)]
    # Who is killed says nothing, and the others say that they have lost it.
    killed = [rank for rank in silent if codes[rank] < 0 and codes[rank] != -signal.SIGTERM]
    understood = [word for word in failures if word.code != "unexpected"]
    if understood or (failures and not killed):
        return min(understood or failures, key=lambda word: word.at)
    rank = next(iter(killed or silent), 0)
    raise RankEnded(number=rank + 1, count=len(codes), how=_how(codes[rank]))


def _last_word(job: JobFolder, rank: int) -> Event | None:
    content = records.read(outcome_file(job, rank))
    try:
        return _EVENT.validate_python(content) if content else None
    except ValidationError:
        return None


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
