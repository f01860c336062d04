"""What lies in a job folder about the process that does the job, and what it proves."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from easytune import errors, events, locks, records
from easytune.errors import EasyTuneError
from easytune.events import Event, Failed, Finished, Notice, Stopped
from easytune.job import ENDING_SIGNALS, JobFolder
from easytune.services import log, processes

State = Literal[
    "queued", "starting", "running", "stopping", "finished", "stopped", "failed", "crashed", "lost"
]
StopStage = Literal["asked", "terminating", "killing"]

ACTIVE: frozenset[State] = frozenset({"starting", "running", "stopping"})
ENDED: frozenset[State] = frozenset({"finished", "stopped", "failed", "crashed", "lost"})

KILL = 9
_UNEXPLAINED = (errors.Unexpected.code(), errors.RankEnded.code())
_ENDING_REACH = 64 * 1024


@dataclass(frozen=True)
class Exit:
    """How the worker ended, as the runner saw it."""

    returncode: int | None
    signal: int | None
    oom_kills: int
    """How many processes the system killed for memory while the job ran."""
    asked: str | None
    """Who asked it to stop: "stop" (the app), "signal" (sent to the runner), or nobody."""
    stage: StopStage | None
    """How far stopping had to go."""
    error: str | None
    """Why the worker could not be started or watched."""
    ended: datetime | None


@dataclass(frozen=True)
class Evidence:
    """What is known of a job's process at one moment."""

    begun: datetime | None
    """When the worker was started; None if it never was."""
    alive: bool
    """The lock is held, and by the process that is on record."""
    rebooted: bool
    """The machine has restarted since the worker was started."""
    revoked: bool
    stop_stage: StopStage | None
    exit: Exit | None


@dataclass(frozen=True)
class Verdict:
    """The state of a run, and the cause where it did not end well."""

    state: State
    failure: Failed | None = None
    stop_stage: StopStage | None = None


def gather(folder: JobFolder) -> Evidence:
    """Read the evidence. To be read before the events, or a job that just ended looks crashed."""
    # In this order: a runner takes the lock, writes its identity, its exit, and lets go.
    process = records.read(folder.process)
    held = locks.is_held(folder.lock)
    ended = records.read(folder.exit)
    return Evidence(
        begun=moment(process.get("at")) if process else None,
        alive=held and (process is None or is_on_record(process)),
        rebooted=process is not None and process.get("boot_id") != processes.boot_id(),
        revoked=folder.revoked.exists(),
        stop_stage=_stop_stage(folder),
        exit=_exit(ended) if ended else None,
    )


def judge(folder: JobFolder, evidence: Evidence, ending: Event | None, *, started: bool) -> Verdict:
    """Return what the evidence and the last word of the job prove.

    `ending` is the job's terminal event, if it wrote one; `started`: its loop has begun.
    """
    stage = evidence.exit.stage if evidence.exit else evidence.stop_stage
    match ending:
        case Finished():
            return Verdict("finished")
        case Stopped():
            return Verdict("stopped", stop_stage=stage)
        case Failed():
            return Verdict("failed", _true_cause(ending, evidence.exit), stage)
    if evidence.begun and not evidence.alive and folder.is_proved():
        # Killed between its last deed and its last word.
        return Verdict("finished")
    if evidence.exit:
        return _judge_exit(folder, evidence.exit)
    if evidence.alive:
        running: State = "running" if started else "starting"
        return Verdict("stopping" if stage else running, stop_stage=stage)
    if evidence.begun:
        reason = errors.MachineRestarted() if evidence.rebooted else errors.Interrupted()
        return Verdict("lost", _failure(folder, reason))
    return Verdict("stopped" if evidence.revoked else "queued")


def last_word(folder: JobFolder) -> Finished | Stopped | Failed | None:
    """Return how a job says that it ended, perhaps before its process has; None until then."""
    size = folder.events.stat().st_size if folder.events.exists() else 0
    last, _ = events.read(folder.events, max(0, size - _ENDING_REACH))
    return next((e for e in reversed(last) if isinstance(e, Finished | Stopped | Failed)), None)


def remarks(ending: Event | None, state: State, evidence: Evidence) -> list[Notice]:
    """Return what the user should know of an end that was not as it should be."""
    ended = evidence.exit
    if ended is None:
        return []
    at = ended.ended or datetime.now(UTC)
    if state == "finished" and ended.returncode != 0:
        how = f"signal {ended.signal}" if ended.signal else f"exit code {ended.returncode}"
        return [Notice(at=at, code="unclean_end", values={"how": how})]
    if state == "stopped" and not isinstance(ending, Stopped):
        return [Notice(at=at, code="stopped_by_force")]
    return []


def _judge_exit(folder: JobFolder, ended: Exit) -> Verdict:
    """Judge a job that ended without a last word."""
    if ended.oom_kills and ended.signal == KILL and ended.stage != "killing":
        return Verdict("crashed", _failure(folder, errors.KilledBySystem(KILL)), ended.stage)
    if ended.asked and (ended.signal in ENDING_SIGNALS or ended.returncode == 0):
        return Verdict("stopped", stop_stage=ended.stage)
    if ended.signal in ENDING_SIGNALS:
        problem = errors.KilledFromOutside(ended.signal)
        return Verdict("crashed", _failure(folder, problem), ended.stage)
    return Verdict("crashed", _failure(folder, _unexplained(folder, ended)), ended.stage)


def _unexplained(folder: JobFolder, ended: Exit) -> errors.Unexpected:
    last = next((line.strip() for line in reversed(log.tail(folder.log)) if line.strip()), "")
    how = f"signal {ended.signal}" if ended.signal else f"exit code {ended.returncode}"
    return errors.Unexpected(ended.error or (f"{last} ({how})" if last else how))


def _true_cause(failed: Failed, ended: Exit | None) -> Failed:
    """Return the cause behind a failure that the job itself could not explain.

    A helper process killed for memory reaches the job as an error nobody foresaw.
    """
    if failed.code not in _UNEXPLAINED or ended is None or not ended.oom_kills:
        return failed
    cause = errors.KilledBySystem(KILL)
    return failed.model_copy(update={"code": cause.code(), "values": cause.values})


def _failure(folder: JobFolder, problem: EasyTuneError) -> Failed:
    return Failed(
        code=problem.code(), values=problem.values, detail="\n".join(log.tail(folder.log, 50))
    )


def _stop_stage(folder: JobFolder) -> StopStage | None:
    reached = (records.read(folder.stopping) or {}).get("stage")
    if reached in ("asked", "terminating", "killing"):
        return reached
    return "asked" if folder.stop.exists() else None


def is_on_record(process: dict[str, Any]) -> bool:
    """Tell whether the process that a `process.json` names as the runner still lives."""
    runner = process.get("runner") or {}
    return processes.is_alive(processes.Identity(runner.get("pid", 0), runner.get("started", "")))


def _exit(content: dict[str, Any]) -> Exit:
    return Exit(
        returncode=content.get("returncode"),
        signal=content.get("signal"),
        oom_kills=content.get("oom_kills") or 0,
        asked=content.get("asked"),
        stage=content.get("stage"),
        error=content.get("error"),
        ended=moment(content.get("ended")),
    )


def moment(text: object) -> datetime | None:
    """Return the time that a record names; None where it names none."""
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def modified(path: Path) -> datetime | None:
    """Return when a file was last written; None when it is missing."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    except OSError:
        return None
