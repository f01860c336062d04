"""The evaluations of a home: submit, follow, stop, resume, compare. All of it is read from files.

An evaluation is a job like a run, in a folder of its own below `<home>/evaluations`, and takes its
turn with the runs: see `dispatch`. What all such jobs share is in `job_shelf`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from easytune import paths
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_errors import CandidateChanged, EvaluationActive, EvaluationMissing
from easytune.evaluation_files import EvaluationFolder, Order, Result, RowAnswer, TestRow, Verdict
from easytune.found_model import FoundModel
from easytune.services import evaluation_order, evaluation_table, folders, job_shelf
from easytune.services.catalogue import Catalogue
from easytune.services.evaluation_reading import Reading, Scores
from easytune.services.evaluation_story import EvaluationFold, EvaluationStory
from easytune.services.evaluation_table import EvaluationTable, Measured
from easytune.services.job_shelf import JobShelf, JobSummary, Kind
from easytune.services.runs import Runs

_LONGEST_GRACE_S = 1800.0
EvaluationSummary = JobSummary[EvaluationFolder, Order]
"""One line in the list of evaluations."""


class Evaluations(JobShelf[EvaluationFolder, Order, EvaluationStory]):
    """All evaluations of one home. Any number of processes may have one; threads may share one."""

    kind = Kind(paths.evaluations, EvaluationFolder, EvaluationMissing, EvaluationActive)

    def __init__(self, home: Path, runs: Runs, catalogue: Catalogue) -> None:
        """Look at the evaluations under `home`, which need not exist yet."""
        super().__init__(home)
        self._runs, self._catalogue = runs, catalogue
        self._reading = Reading()

    def submit(self, config: EvaluateConfig) -> str:
        """Queue an evaluation and return its id; a `Dispatcher` starts it when its turn comes.

        Raises what `evaluation_order.compose` raises, and FolderUnwritable.
        """
        return self._queue(evaluation_order.compose(config, self._home, self._catalogue))

    def rows_asked(self, name: str, config: EvaluateConfig) -> int | None:
        """Return how many rows of a test set will be asked: see `evaluation_order.rows_asked`."""
        return evaluation_order.rows_asked(name, config, self._home)

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

    def resume(self, evaluation: str) -> str:
        """Queue an evaluation that takes over the answers of one that has ended; return its id.

        Raises EvaluationMissing, EvaluationActive before it has ended, CandidateChanged when a
        model is another one now, and what `submit` raises.
        """
        story = self._require_ended(evaluation)
        order = evaluation_order.compose(story.order.config, self._home, self._catalogue)
        for before, now in zip(story.order.candidates, order.candidates, strict=True):
            if before.fingerprint != now.fingerprint:
                raise CandidateChanged(before.title)
        taken = self._with_answers(evaluation)
        name = self._chosen_name(self.folder(evaluation)) or story.order.config.report.name
        config = order.config.changed(report__name=name)
        return self._queue(order.model_copy(update={"continues": taken, "config": config}))

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

    def _queue(self, order: Order) -> str:
        return self._create(order, order.created)

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

    def _folders(self) -> list[EvaluationFolder]:
        return folders.evaluation_folders(self._home)

    def _read(self, folder: EvaluationFolder) -> Order | None:
        return folders.order_of(folder)

    def _teller(self, folder: EvaluationFolder, order: Order) -> Callable[[str], EvaluationStory]:
        return EvaluationFold(folder, order).tell

    def _own_name(self, order: Order) -> str:
        return evaluation_order.name_of(order)

    def _text(self, one: EvaluationSummary) -> str:
        models = (f"{model.title} {model.id}" for model in one.order.candidates)
        config = one.order.config
        return " ".join(
            [one.name, one.id, *models, *config.test.datasets, *config.measure.metrics,
             *config.measure.benchmarks]
        ).casefold()  # fmt: skip

    def _watched(self, folder: EvaluationFolder) -> tuple[Path, ...]:
        # It is news, too, when more answers can be read.
        return folder.result, folder.answers

    def _grace_s(self, story: EvaluationStory) -> float:
        """Return the seconds a job gets to finish its batch and to score: more for slow rows."""
        batch_s = 0.0
        if story.rows_per_second and story.batch_size:
            batch_s = story.batch_size / story.rows_per_second
        return min(job_shelf.GRACE_S + 2 * batch_s, _LONGEST_GRACE_S)

    def _forget(self, folder: EvaluationFolder) -> None:
        self._reading.forget(folder)


def _is(candidate: FoundModel, model_id: str) -> bool:
    return model_id in (candidate.id, candidate.folder)
