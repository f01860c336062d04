"""The evaluations of a home: submit, follow, stop, resume, compare. All of it is read from files.

An evaluation is a job like a run, in a folder of its own below `<home>/evaluations`, and takes its
turn with the runs: see `dispatch`.
"""

import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from easytune import job, paths, records
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_errors import CandidateChanged, EvaluationActive, EvaluationMissing
from easytune.evaluation_files import (
    Candidate,
    EvaluationFolder,
    Order,
    Result,
    RowAnswer,
    TestRow,
    Verdict,
)
from easytune.services import evaluation_order, evaluation_table, folders, log
from easytune.services import evidence as proof
from easytune.services.catalogue import Catalogue
from easytune.services.evaluation_reading import Reading, Scores
from easytune.services.evaluation_story import EvaluationFold, EvaluationStory
from easytune.services.evaluation_table import EvaluationTable, Measured
from easytune.services.evidence import ACTIVE, ENDED, State
from easytune.services.runs import Runs

NAME_FILE = "name.json"
"""Written by the app when somebody renames an evaluation."""
_MOST_LETTERS = 80
_GRACE_S = 120.0
_LONGEST_GRACE_S = 1800.0


@dataclass(frozen=True)
class EvaluationSummary:
    """One line in the list of evaluations."""

    id: str
    name: str
    state: State
    created: datetime
    order: Order
    folder: EvaluationFolder


class Evaluations:
    """All evaluations of one home. Any number of processes may have one; threads may share one."""

    def __init__(self, home: Path, runs: Runs, catalogue: Catalogue) -> None:
        """Look at the evaluations under `home`, which need not exist yet."""
        self._home, self._runs, self._catalogue = home, runs, catalogue
        self._lock = threading.RLock()
        self._folds: dict[str, EvaluationFold] = {}
        self._orders: dict[str, Order] = {}
        self._ended: dict[str, State] = {}
        self._reading = Reading()

    def submit(self, config: EvaluateConfig) -> str:
        """Queue an evaluation and return its id; a `Dispatcher` starts it when its turn comes.

        Raises what `evaluation_order.compose` raises, and FolderUnwritable.
        """
        return self._create(evaluation_order.compose(config, self._home, self._catalogue))

    def rows_asked(self, name: str, config: EvaluateConfig) -> int | None:
        """Return how many rows of a test set will be asked: see `evaluation_order.rows_asked`."""
        return evaluation_order.rows_asked(name, config, self._home)

    def story(self, evaluation: str) -> EvaluationStory:
        """Return what is known of an evaluation. Raises EvaluationMissing."""
        folder = self.folder(evaluation)
        order = self._order(folder)
        with self._lock:
            fold = self._folds.setdefault(evaluation, EvaluationFold(folder, order))
            story = fold.tell(self._name(folder, order))
        if story.state != "queued":
            return story
        return replace(story, queue_position=folders.queue_position(self._home, folder))

    def version(self, evaluation: str) -> str:
        """Return a token that changes when the story does; far cheaper. Raises EvaluationMissing.

        It changes also when more answers can be read.
        """
        folder = self.folder(evaluation)
        files = (
            folder.events, folder.process, folder.exit, folder.stop, folder.stopping,
            folder.revoked, folder.result, folder.answers, folder.path / NAME_FILE,
        )  # fmt: skip
        marks = [records.mark(file) for file in files]
        # A killed runner leaves no trace in any file, only a lock that nobody holds.
        marks.append("" if folder.exit.exists() else str(proof.gather(folder).alive))
        if not folder.process.exists():
            marks.append(str(folders.queue_position(self._home, folder)))
        return " ".join(marks)

    def latest(self) -> str | None:
        """Return the evaluation to show first: the one that runs, else the newest; None without."""
        newest = folders.evaluation_folders(self._home)[::-1]
        running = (folder for folder in newest if folders.runs_now(folder))
        return next((f.id for f in (*running, *newest) if self._known(f)), None)

    def folder(self, evaluation: str) -> EvaluationFolder:
        """Return an evaluation's folder. Raises EvaluationMissing."""
        folder = EvaluationFolder(paths.evaluations(self._home) / evaluation)
        is_plain = Path(evaluation).name == evaluation and not evaluation.startswith(".")
        if not is_plain or not folder.job.is_file() or self._known(folder) is None:
            raise EvaluationMissing(evaluation)
        return folder

    def order(self, evaluation: str) -> Order:
        """Return what was asked for. Raises EvaluationMissing."""
        return self._order(self.folder(evaluation))

    def rows(self, evaluation: str) -> list[TestRow]:
        """Return the test rows, each at its own number. Raises EvaluationMissing."""
        return self._reading.rows(self.folder(evaluation))

    def answers(self, evaluation: str) -> list[RowAnswer]:
        """Return the answers so far, also of a job that was killed. Raises EvaluationMissing."""
        return self._reading.answers(self.folder(evaluation))

    def scores(self, evaluation: str) -> Scores:
        """Return metric -> candidate -> a score per row. Raises EvaluationMissing."""
        return self._reading.scores(self.folder(evaluation))

    def verdicts(self, evaluation: str) -> list[Verdict]:
        """Return what the judge said. Raises EvaluationMissing."""
        return self._reading.verdicts(self.folder(evaluation))

    def transcripts(self, evaluation: str) -> list[dict[str, Any]]:
        """Return prompts and answers of the safety probe. Raises EvaluationMissing."""
        return self._reading.transcripts(self.folder(evaluation))

    def log_tail(self, evaluation: str, lines: int = 50) -> list[str]:
        """Return the last lines that the job printed. Raises EvaluationMissing."""
        return log.tail(self.folder(evaluation).log, lines)

    def stop(self, evaluation: str, now: bool = False) -> None:
        """Ask a job to finish its batch and score what there is; with `now`, to end at once.

        A queued one will not begin, one that has ended is left alone. Raises EvaluationMissing.
        """
        folder, story = self.folder(evaluation), self.story(evaluation)
        if story.has_ended:
            return
        wish: dict[str, Any] = (
            {"mode": "now"} if now else {"mode": "keep", "grace_s": _grace(story)}
        )
        records.write(folder.stop, wish)
        if story.state == "queued":
            # Written second: should the job begin just now, it finds the request to stop.
            folder.revoked.touch()

    def resume(self, evaluation: str) -> str:
        """Queue an evaluation that takes over the answers of one that has ended; return its id.

        Raises EvaluationMissing, EvaluationActive before it has ended, CandidateChanged when a
        model is another one now, and what `submit` raises.
        """
        story = self.story(evaluation)
        if not story.has_ended:
            raise EvaluationActive(evaluation)
        order = evaluation_order.compose(story.order.config, self._home, self._catalogue)
        for before, now in zip(story.order.candidates, order.candidates, strict=True):
            if before.fingerprint != now.fingerprint:
                raise CandidateChanged(before.title)
        taken = self._with_answers(evaluation)
        config = order.config.changed(report__name=self._chosen_name(evaluation))
        return self._create(order.model_copy(update={"continues": taken, "config": config}))

    def rename(self, evaluation: str, name: str) -> None:
        """Call an evaluation otherwise; an empty name gives back its own.

        Raises EvaluationMissing.
        """
        folder = self.folder(evaluation)
        records.write(folder.path / NAME_FILE, {"name": " ".join(name.split())[:_MOST_LETTERS]})

    def delete(self, evaluation: str) -> None:
        """Remove an evaluation and all it found.

        Raises EvaluationMissing, or EvaluationActive while it runs.
        """
        folder = self.folder(evaluation)
        if folders.runs_now(folder):
            raise EvaluationActive(evaluation)
        if folders.waits(folder):
            folder.revoked.touch()
        # Out of sight in one step, so that nobody meets half a folder.
        hidden = folder.path.rename(folder.path.with_name(f".deleted-{evaluation}"))
        with self._lock:
            for known in (self._folds, self._orders, self._ended):
                known.pop(evaluation, None)
        self._reading.forget(folder)
        shutil.rmtree(hidden)

    def of_run(self, run_id: str) -> list[EvaluationSummary]:
        """Return the evaluations of what a run has made, or of rows it kept back, newest first."""
        kept = f"{evaluation_order.HELD_OUT}{run_id}"
        return [
            one
            for one in self.list()
            if kept in one.order.config.test.datasets
            or any(candidate.run == run_id for candidate in one.order.candidates)
        ]

    def of_model(self, model_id: str) -> list[EvaluationSummary]:
        """Return the evaluations that have measured a model, newest first."""
        return [one for one in self.list() if any(_is(c, model_id) for c in one.order.candidates)]

    def compare(self, evaluations: Sequence[str]) -> EvaluationTable:
        """Return evaluations side by side. Raises EvaluationMissing.

        One that has found nothing yet has columns without figures.
        """
        found = []
        for evaluation in dict.fromkeys(evaluations):
            story = self.story(evaluation)
            result = story.result or Result()
            found.append(Measured(evaluation, story.name, story.order, result))
        return evaluation_table.tabulate(found)

    def _create(self, order: Order) -> str:
        name = evaluation_order.name_of(order)
        parent = paths.evaluations(self._home)
        return job.create_named(parent, order, name, order.created).name

    def _with_answers(self, evaluation: str) -> str:
        """Return the newest evaluation in a chain that has answers to take over, else the last."""
        seen: list[str] = []
        before: str | None = evaluation
        while before is not None and before not in seen:
            seen.append(before)
            try:
                if self.answers(before):
                    return before
                before = self.order(before).continues
            except EvaluationMissing:
                break
        return evaluation

    def _chosen_name(self, evaluation: str) -> str:
        folder = self.folder(evaluation)
        chosen = (records.read(folder.path / NAME_FILE) or {}).get("name")
        return str(chosen or self._order(folder).config.report.name)

    def _name(self, folder: EvaluationFolder, order: Order) -> str:
        chosen = (records.read(folder.path / NAME_FILE) or {}).get("name")
        return str(chosen) if chosen else evaluation_order.name_of(order)

    def _summary(self, folder: EvaluationFolder) -> EvaluationSummary | None:
        order = self._known(folder)
        if order is None:
            return None
        name, state = self._name(folder, order), self._state(folder)
        return EvaluationSummary(folder.id, name, state, order.created, order, folder)

    def _state(self, folder: EvaluationFolder) -> State:
        """Return a job's state without reading all its events, unless it runs."""
        if folder.id in self._ended:
            return self._ended[folder.id]
        evidence = proof.gather(folder)
        verdict = proof.judge(folder, evidence, proof.last_word(folder), started=True)
        if verdict.state in ACTIVE:
            return self.story(folder.id).state
        if verdict.state in ENDED and evidence.exit:
            self._ended[folder.id] = verdict.state
        return verdict.state

    def _order(self, folder: EvaluationFolder) -> Order:
        order = self._known(folder)
        if order is None:
            raise EvaluationMissing(folder.id)
        return order

    def _known(self, folder: EvaluationFolder) -> Order | None:
        """Return what was asked for; read once, for pages ask every second."""
        if folder.id not in self._orders and (order := folders.order_of(folder)):
            self._orders[folder.id] = order
        return self._orders.get(folder.id)

    # Last in the class: after it the name no longer means the builtin that annotations need.
    def list(self, search: str = "") -> list[EvaluationSummary]:
        """Return the evaluations whose names, models, sets or metrics have all words, newest first.

        Case makes no difference.
        """
        words = search.casefold().split()
        found = reversed(folders.evaluation_folders(self._home))
        summaries = [summary for folder in found if (summary := self._summary(folder))]
        return [one for one in summaries if all(word in _text(one) for word in words)]


def _text(one: EvaluationSummary) -> str:
    """Return all that an evaluation is found by, in small letters."""
    models = (f"{model.title} {model.id}" for model in one.order.candidates)
    config = one.order.config
    return " ".join(
        [one.name, one.id, *models, *config.test.datasets, *config.measure.metrics,
         *config.measure.benchmarks]
    ).casefold()  # fmt: skip


def _is(candidate: Candidate, model_id: str) -> bool:
    return model_id in (candidate.id, candidate.folder)


def _grace(story: EvaluationStory) -> float:
    """Return the seconds a job gets to finish its batch and to score: more where rows are slow."""
    batch_s = 0.0
    if story.rows_per_second and story.batch_size:
        batch_s = story.batch_size / story.rows_per_second
    return min(_GRACE_S + 2 * batch_s, _LONGEST_GRACE_S)
