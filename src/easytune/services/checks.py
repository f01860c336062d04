"""The launch checks of a home: start, follow, stop. All of it is read from files.

A check is a job like a run, in a folder of its own below `<home>/checks`; see `engine.check`.
"""

import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from easytune import events, job, locks, paths, records
from easytune.config import TrainConfig
from easytune.data.versions.library import Library
from easytune.errors import CheckActive, CheckInterrupted, CheckMissing, MachineBusy
from easytune.events import Failed, Finished, Notice, Phase, Stopped, Swept, Trial
from easytune.job import CheckWishes, Job, JobFolder
from easytune.remedies import changes
from easytune.services import data_links, dispatch, folders, launching, submission
from easytune.services import evidence as proof
from easytune.services.evidence import ACTIVE, ENDED, State
from easytune.services.spare import Spare

KEPT = 20
# Longer than anybody takes to start a job.
_PATIENCE_S = launching.LAUNCH_S + 5
_BEGUN_WITHIN_S = 20.0
_GOING_S = 5.0
_FROM_OUTSIDE = ("interrupted", "killed_from_outside", "machine_restarted")

Curve = list[tuple[float, float]]
"""(learning rate, loss) of a range test; (step, loss) at the chosen rate."""


@dataclass(frozen=True)
class CheckStory:
    """What is known of one check.

    `trials` are the tries so far, `fits` the one that fits, `given_fits` whether that is what was
    asked for, and `config` the whole configuration of it. `trying` are the changes that are being
    tried now, None when none is. Times are in seconds, `total_seconds` for the whole run.
    """

    id: str
    state: State
    given: TrainConfig
    wishes: CheckWishes
    phase: str = ""
    trials: list[Trial] = field(default_factory=list)
    trying: dict[str, Any] | None = None
    fits: Trial | None = None
    given_fits: bool = False
    config: TrainConfig | None = None
    total_seconds: float | None = None
    total_steps: int | None = None
    tokens_per_second: float | None = None
    warnings: list[Notice] = field(default_factory=list)
    """Everything the user should know: texts `notice.<code>`."""
    range_curve: Curve = field(default_factory=list)
    suggested_rate: float | None = None
    steady_curve: Curve = field(default_factory=list)
    failure: Failed | None = None
    """Why it failed, crashed or was lost; its text is `error.<code>`."""

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing more will come."""
        return self.state in ENDED


class Checks:
    """All launch checks of one home. Any number of processes may have one."""

    def __init__(self, home: Path, worker: Sequence[str] = (), spare: Spare | None = None) -> None:
        """Look at the checks under `home`; `spare` may do the next one.

        Tests give another `worker` command than our own.
        """
        self._home = home
        self._spare = spare
        self._worker = list(worker)
        self._runners: list[subprocess.Popen[bytes]] = []
        self._orders: dict[Path, Job] = {}

    def start(self, config: TrainConfig, wishes: CheckWishes | None = None) -> str:
        """Begin a check and return its id.

        Raises MachineBusy while a run is going on, CheckActive while another check is, and what
        `Runs.submit` raises.
        """
        config = data_links.pinned(config, Library(self._home))
        config = submission.with_absolute_paths(config)
        submission.check(config, self._home)
        order = Job(task="check", config=config, wishes=wishes or CheckWishes())
        self._home.mkdir(parents=True, exist_ok=True)
        # Whoever holds it starts jobs: nobody else may begin a run or a check meanwhile.
        lock = locks.hold(self._home / dispatch.LOCK, _PATIENCE_S)
        if lock is None:
            raise CheckActive("")
        with lock:
            self._require_quiet()
            folder = job.create(paths.checks(self._home), order)
            self._launch(folder)
        self._forget_old()
        return folder.id

    def story(self, check_id: str) -> CheckStory:
        """Return what is known of a check. Raises CheckMissing."""
        folder = self._folder(check_id)
        order = self._order(folder)
        if order is None:
            raise CheckMissing(check_id)
        evidence = proof.gather(folder)
        told, _ = events.read(folder.events)
        ending = next((e for e in told if isinstance(e, Finished | Stopped | Failed)), None)
        verdict = proof.judge(folder, evidence, ending, started=bool(told))
        # Nobody queues checks: one that nobody has begun is about to be begun, or never will be.
        state = _unbegun(folder) if verdict.state == "queued" else verdict.state
        story = _told(folder, order, state, told, _cause(state, verdict.failure))
        return story if story.has_ended else replace(story, trying=self._trying(folder, story))

    def version(self, check_id: str) -> str:
        """Return a token that changes when the story does. Raises CheckMissing."""
        folder = self._folder(check_id)
        files = (folder.events, folder.process, folder.exit, folder.stop, folder.stopping)
        marks = [records.mark(file) for file in files]
        # A killed runner leaves no trace in any file, only a lock that nobody holds.
        marks.append("" if folder.exit.exists() else str(proof.gather(folder).alive))
        return " ".join(marks)

    def stop(self, check_id: str) -> None:
        """End a check; one that has ended is left alone. Raises CheckMissing."""
        if not self.story(check_id).has_ended:
            launching.end_check(self._folder(check_id))

    def latest(self) -> str | None:
        """Return the newest check, None without any."""
        found = folders.check_folders(self._home)
        return next((f.id for f in reversed(found) if folders.job_of(f)), None)

    def close(self) -> None:
        """Bury the processes that have ended. Checks that run go on."""
        self._runners = [runner for runner in self._runners if runner.poll() is None]

    def _order(self, folder: JobFolder) -> Job | None:
        """Return what was asked for; read once, for pages ask every second."""
        if folder.path not in self._orders and (order := folders.job_of(folder)):
            self._orders[folder.path] = order
        return self._orders.get(folder.path)

    def _trying(self, folder: JobFolder, story: CheckStory) -> dict[str, Any] | None:
        """Return what the rung that is tried now changes; None between two."""
        rung = JobFolder(folder.path / "trials" / str(len(story.trials)))
        order = self._order(rung) if rung.job.exists() else None
        if order is None:
            return None
        return {path: value for path, _, value in changes(story.given, order.config)}

    def _folder(self, check_id: str) -> JobFolder:
        folder = JobFolder(paths.checks(self._home) / check_id)
        is_plain = Path(check_id).name == check_id and not check_id.startswith(".")
        if not is_plain or not folder.job.is_file():
            raise CheckMissing(check_id)
        return folder

    def _require_quiet(self) -> None:
        """Raise MachineBusy or CheckActive while something else computes."""
        for folder in folders.all_jobs(self._home):
            if folders.runs_now(folder) and not _goes(folder):
                raise MachineBusy(folder.id)
        active = folders.running_check(self._home)
        if active and not _goes(active):
            raise CheckActive(active.id)

    def _launch(self, folder: JobFolder) -> None:
        self.close()
        runner, _ = launching.launch(folder, self._worker, self._spare)
        self._runners.append(runner)

    def _forget_old(self) -> None:
        for folder in folders.check_folders(self._home)[:-KEPT]:
            if not folders.runs_now(folder):
                shutil.rmtree(folder.path, ignore_errors=True)


def _goes(folder: JobFolder) -> bool:
    """Wait until a job that has said its last word is gone; tell whether it is."""
    give_up = time.monotonic() + _GOING_S
    while (stays := folders.runs_now(folder)) and time.monotonic() < give_up:
        if proof.last_word(folder) is None:
            return False
        time.sleep(0.05)
    return not stays


def _unbegun(folder: JobFolder) -> State:
    """Return the state of a check that no runner has taken up: it may have lost its app."""
    written = proof.modified(folder.job)
    age = (datetime.now(UTC) - written).total_seconds() if written else 0.0
    return "starting" if age < _BEGUN_WITHIN_S else "lost"


def _cause(state: State, failure: Failed | None) -> Failed | None:
    """Return why a check did not end well: there is no checkpoint to go on from, as with a run."""
    if state != "lost" and (failure is None or failure.code not in _FROM_OUTSIDE):
        return failure
    ended = CheckInterrupted()
    detail = failure.detail if failure else ""
    return Failed(code=ended.code(), values=ended.values, detail=detail)


def _told(
    folder: JobFolder,
    order: Job,
    state: State,
    told: Sequence[events.Event],
    failure: Failed | None,
) -> CheckStory:
    trials = [event for event in told if isinstance(event, Trial)]
    fits = next((trial for trial in trials if trial.outcome == "fits"), None)
    ending = next((event for event in told if isinstance(event, Finished)), None)
    figures = {**(fits.values if fits else {}), **(ending.metrics if ending else {})}
    phases = [event.name for event in told if isinstance(event, Phase)]
    return CheckStory(
        id=folder.id,
        state=state,
        given=order.config,
        wishes=order.wishes or CheckWishes(),
        phase=phases[-1] if phases and state in ACTIVE else "",
        trials=trials,
        fits=fits,
        given_fits=fits is not None and not fits.changes,
        config=_applied(order.config, fits),
        total_seconds=figures.get("total_seconds"),
        total_steps=round(figures["total_steps"]) if "total_steps" in figures else None,
        tokens_per_second=figures.get("tokens_per_second"),
        warnings=[event for event in told if isinstance(event, Notice)],
        range_curve=_curve(told, "range"),
        suggested_rate=figures.get("suggested_rate"),
        steady_curve=_curve(told, "chosen"),
        failure=failure,
    )


def _applied(given: TrainConfig, trial: Trial | None) -> TrainConfig | None:
    if trial is None:
        return None
    changed = {path.replace(".", "__"): value for path, value in trial.changes.items()}
    return given.changed(**changed)


def _curve(told: Sequence[events.Event], sweep: str) -> Curve:
    points = [event for event in told if isinstance(event, Swept) and event.sweep == sweep]
    if sweep == "chosen":
        return [(float(point.step), point.loss) for point in points]
    return [(point.learning_rate, point.loss) for point in points]
