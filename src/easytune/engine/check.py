"""A launch check: tries a run's real steps in child processes, going lighter while memory is short.

No model is ever loaded here. Each rung of the ladder is one child (`easytune.engine.trial`) in a
folder below `trials/`; what it reports is handed on as this job's own.
"""

import math
import shutil
import subprocess
import sys
from collections.abc import Iterator

import psutil

from easytune import events, job, ladder, machine, oom, records, remedies
from easytune.config import TrainConfig
from easytune.engine import failures
from easytune.engine.reporting import Reporter
from easytune.engine.stopping import StopSignal
from easytune.errors import CheckInterrupted, EasyTuneError, OutOfMemory, Unexpected
from easytune.events import Failed, Finished, Notice, Phase, Stopped, Swept, Trial
from easytune.job import ENDING_SIGNALS, CheckWishes, Job, JobFolder

TRIALS = "trials"
FACTS = "facts.json"
COMMAND = [sys.executable, "-m", "easytune.engine.trial"]
_POLL_S = 0.1
_NEAR_LIMIT = 0.7
_LOG_TAIL = 20_000


def check(
    job: Job, folder: JobFolder, report: Reporter, stop: StopSignal
) -> Finished | Stopped | Failed:
    """Try a configuration, then ever lighter ones until one fits; return how that ended.

    Every try is reported as `Trial`. The figures of `Finished` are those of the try that fits;
    without one it has none.
    """
    return _Check(job, folder, report, stop).run()


class _Check:
    """One check; it lasts as long as its job."""

    def __init__(self, job: Job, folder: JobFolder, report: Reporter, stop: StopSignal) -> None:
        self.config, self.wishes = job.config, job.wishes or CheckWishes()
        self.folder, self.report, self.stop = folder, report, stop
        self.home = folder.path.parent.parent
        self.longest: float | None = None
        self.loads = True

    def run(self) -> Finished | Stopped | Failed:
        """Go down the ladder."""
        if self.config.memory.processes > 1:
            self.report.notice("check_one_process", processes=self.config.memory.processes)
        attempt: _Attempt | None = None
        for rung, config in enumerate(self._rungs()):
            attempt = _Attempt(self, rung, config)
            trial = attempt.run()
            if trial is None:
                return Stopped()
            self.longest = attempt.fact("longest") or self.longest
            self.loads = attempt.fact("tokens_at_once") is not None
            match trial.outcome:
                case "fits":
                    return Finished(metrics=attempt.metrics)
                case "failed":
                    return Failed(code=trial.code, values=trial.values, detail=attempt.log())
        assert attempt is not None  # a ladder has one rung at least
        attempt.tell_notices()
        code = "check_nothing_fits" if self.wishes.ladder else "check_too_little"
        self.report.notice(code, limit_gb=round(attempt.fact("limit_gb") or 0.0, 2))
        return Finished()

    def _rungs(self) -> Iterator[TrainConfig]:
        if not self.wishes.ladder:
            yield self.config
            return
        can_quantize = machine.can_quantize(machine.device(self.config.memory.device))
        last = self.config
        for rung, config in enumerate(ladder.rungs(self.config, can_quantize)):
            if rung == 0 or self._may_be_lighter(config, last):
                yield config
            last = config

    def _may_be_lighter(self, config: TrainConfig, last: TrainConfig) -> bool:
        """Tell whether a rung can fit where the one above it was short."""
        if not self.loads:
            # What is computed at once matters only to a model that is there.
            return _weights(config) != _weights(last)
        length = config.data.max_length
        # Cutting off what no row has makes nothing lighter.
        return length == last.data.max_length or not self.longest or length < self.longest


class _Attempt:
    """One try in a child process."""

    def __init__(self, check: _Check, rung: int, config: TrainConfig) -> None:
        self.check, self.rung, self.config = check, rung, config
        self.folder = JobFolder(check.folder.path / TRIALS / str(rung))
        self.metrics: dict[str, float] = {}
        self.trial: Trial | None = None
        self._notices: list[Notice] = []
        self._offset, self._peak_gb, self._finished = 0, 0.0, False
        self._kills = oom.kills()

    def fact(self, name: str) -> float | None:
        """Return what the child noted before its steps; None while it has not."""
        return (records.read(self.folder.path / FACTS) or {}).get(name)

    def run(self) -> Trial | None:
        """Return how it went, after it was reported; None when the user wants the check to end."""
        self.folder.path.mkdir(parents=True)
        job.write(self.folder, Job(task="check", config=self.config, wishes=self.check.wishes))
        child = self._start()
        try:
            while child.poll() is None and not self._has_its_say:
                if self.check.stop.asked():
                    return None
                self._look(child)
            self._hand_on()
        finally:
            _end(child)
            print(self.log(), flush=True)
            shutil.rmtree(self.folder.out, ignore_errors=True)
        if self.trial is None:
            self._report(self._verdict(child.returncode))
        elif not self._has_its_say:
            reason = self._last_words(child.returncode)
            self.check.report.notice("check_sweep_failed", reason=reason)
        return self.trial

    def tell_notices(self) -> None:
        """Hand on what the child had to say about a configuration that the user now looks at.

        What a rung says that did not fit, the next one says again or makes untrue.
        """
        for notice in self._notices:
            self.check.report(notice)
        self._notices.clear()

    @property
    def _has_its_say(self) -> bool:
        """Tell whether nothing more is to come, so that its end need not be waited for."""
        return self._finished or (self.trial is not None and self.trial.outcome != "fits")

    def log(self) -> str:
        """Return the end of what the child printed."""
        try:
            return self.folder.log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL:]
        except OSError:
            return ""

    def _start(self) -> subprocess.Popen[bytes]:
        with self.folder.log.open("ab") as log:
            return subprocess.Popen(
                [*COMMAND, str(self.folder.path), str(self.check.home)],
                cwd=self.folder.path,
                # It ends when this pipe is closed, whatever way we end.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def _look(self, child: subprocess.Popen[bytes]) -> None:
        """Hand on what is new, and see to the memory where the system does not."""
        try:
            child.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            self._hand_on()
        self._peak_gb = max(self._peak_gb, _memory_gb(child.pid))
        limit = self.fact("limit_gb") if sys.platform != "linux" and not self.trial else None
        if limit is not None and self._peak_gb > limit:
            child.kill()

    def _hand_on(self) -> None:
        found, self._offset = events.read(self.folder.events, self._offset)
        for event in found:
            match event:
                case Phase() | Swept():
                    self.check.report(event)
                case Notice() if self.trial:
                    self.check.report(event)
                case Notice():
                    self._notices.append(event)
                case Trial():
                    self._report(event)
                case Finished(metrics=metrics):
                    self.metrics, self._finished = metrics, True

    def _report(self, trial: Trial) -> None:
        changed = remedies.changes(self.check.config, self.config)
        facts = {
            "rung": self.rung,
            "changes": {path: value for path, _, value in changed},
            "limit_gb": self.fact("limit_gb"),
        }
        self.trial = trial.model_copy(update=facts)
        self.check.report(self.trial)
        if trial.outcome != "out_of_memory":
            self.tell_notices()

    def _verdict(self, code: int | None) -> Trial:
        """Judge a child that ended without one of its own: by its last words, and by its size."""
        signalled = code is not None and code < 0
        killed = signalled and oom.rise(self._kills) > 0
        near = signalled and self._peak_gb > _NEAR_LIMIT * (self.fact("limit_gb") or math.inf)
        if killed or near or failures.speaks_of_memory(self.log()):
            device = machine.device(self.config.memory.device)
            problem: EasyTuneError = OutOfMemory(device, self.config.schedule.batch_size)
            return _ended(problem, short=True)
        if code is not None and -code in ENDING_SIGNALS:
            return _ended(CheckInterrupted())
        return _ended(Unexpected(self._last_words(code)))

    def _last_words(self, code: int | None) -> str:
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        last = self.log().strip().rpartition("\n")[2][:300]
        return f"{last} ({how})" if last else how


def _weights(config: TrainConfig) -> tuple[str, int]:
    return config.model.method, config.memory.quantization_bits


def _ended(problem: EasyTuneError, *, short: bool = False) -> Trial:
    outcome = "out_of_memory" if short else "failed"
    return Trial(rung=0, outcome=outcome, code=problem.code(), values=problem.values)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Leave nothing of a child behind."""
    if child.stdin:
        child.stdin.close()
    if child.poll() is None:
        child.kill()
    child.wait()


def _memory_gb(pid: int) -> float:
    try:
        return psutil.Process(pid).memory_info().rss / 1e9
    except psutil.Error:
        return 0.0
