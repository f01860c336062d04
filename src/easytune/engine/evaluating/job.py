"""One evaluation, from its order to its result."""

import importlib
import math
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from easytune import paths, records, scoring
from easytune.data import overlaps, test_sets
from easytune.engine.evaluating import candidate_answers, gaps
from easytune.engine.evaluating.records import Answers, taken_over, wanted, write_rows
from easytune.engine.evaluating.session import Part, Session
from easytune.engine.failures import classify
from easytune.engine.reporting import Reporter
from easytune.engine.stopping import StopSignal
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import EvaluationFolder, Finding, Order
from easytune.events import Finished, Stopped


@dataclass(frozen=True)
class _Named:
    """A part that only some evaluations have; its module is `run` in this package."""

    module: str
    phase: str
    is_wanted: Callable[[EvaluateConfig], bool]

    def load(self) -> Part:
        """Import it: some need packages that others do not."""
        return importlib.import_module(f"{__package__}.{self.module}").run


_PARTS = (
    _Named("forgetting", "probing", lambda config: config.measure.forgetting != "off"),
    _Named("safety", "probing", lambda config: config.measure.safety),
    _Named("benchmarks", "benchmarking", lambda config: bool(config.measure.benchmarks)),
    _Named("judge", "judging", lambda config: config.judge.by != "off"),
)


_ABOUT_TEXTS = ("answers_empty", "answers_cut")


def evaluate(
    order: Order, folder: EvaluationFolder, report: Reporter, stop: StopSignal
) -> Finished | Stopped:
    """Do what is asked for and return how it ended.

    Rows are gathered and asked, then scored; the other parts follow as far as they are wanted.
    What fails in one of them becomes a finding. After a stop there are the figures of what has been
    answered. Raises EasyTuneError when no row or no model can be had.
    """
    session = Session(order, folder, report, stop)
    try:
        return _Evaluation(session).run()
    finally:
        session.unload()


class _Evaluation:
    """One evaluation; it lasts as long as its job."""

    def __init__(self, session: Session) -> None:
        self._session, self._report = session, session.report

    def run(self) -> Finished | Stopped:
        """Do every part."""
        session = self._session
        self._gather()
        answers = self._known_answers()
        if not session.stop.asked():
            self._report.phase("answering")
            candidate_answers.ask(session, answers)
        session.answers = answers.all
        gaps.tell(session)
        self._score()
        for part in _PARTS:
            if part.is_wanted(session.order.config) and not session.stop.asked():
                self._do(part)
                self._write()
        self._report.phase("finishing")
        self._write()
        ended = Stopped if session.stop.asked() else Finished
        return ended(step=len(answers), metrics=dict(_metrics(session)))

    def _gather(self) -> None:
        session, config = self._session, self._session.order.config
        self._report.phase("loading_data")
        found = test_sets.load(config.test.datasets, config, session.home)
        session.result.sets, session.rows = list(found[0]), list(found[1])
        session.result.findings += found[2]
        write_rows(session.folder, session.rows)
        with self._telling("overlaps"):
            findings = session.result.findings
            found_again = overlaps.overlaps(session.order, session.rows, session.home, findings)
            session.result.overlaps = found_again

    def _known_answers(self) -> Answers:
        """Return what has been answered before, by this job or by the one that it continues."""
        session = self._session
        answers = Answers(session.folder.answers)
        if session.order.continues:
            folder = paths.evaluations(session.home) / session.order.continues
            found = taken_over(session.order, session.rows, EvaluationFolder(folder))
            answers.add([one for one in found if (one.candidate, one.row) not in answers])
        return answers

    def _score(self) -> None:
        session = self._session
        self._report.phase("scoring")
        with self._telling("scoring"):
            scores, figures, signatures, findings = scoring.score_all(
                session.order.config,
                session.rows,
                session.answers,
                session.result.sets,
                session.order.candidates,
            )
            session.result.scores += figures
            session.result.signatures |= signatures
            session.result.findings += self._true_ones(findings)
            records.write(session.folder.scores, scores)
        self._write()

    def _true_ones(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings without those about answers, where nobody asked for any."""
        if wanted(self._session.order.config).text:
            return list(findings)
        self._session.result.find("answers_not_written")
        return [one for one in findings if one.code not in _ABOUT_TEXTS]

    def _do(self, part: _Named) -> None:
        self._report.phase(part.phase)
        with self._telling(part.module):
            part.load()(self._session)

    def _telling(self, part: str) -> "_Telling":
        return _Telling(self._session, part)

    def _write(self) -> None:
        result = self._session.result.result(self._session.seconds())
        records.write_text(self._session.folder.result, result.model_dump_json())


class _Telling:
    """While open, turns what goes wrong into a finding: the rest of the evaluation goes on."""

    def __init__(self, session: Session, part: str) -> None:
        self._session, self._part = session, part

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, Exception):
            return False
        traceback.print_exception(error, file=sys.stderr)
        known = classify(error, None, self._session.folder.path)
        self._session.failed("part_failed", known, part=f"@evaluation.part.{self._part}")
        return True


def _metrics(session: Session) -> Iterator[tuple[str, float]]:
    """Yield the first candidate's figures on the first test set, for lists of evaluations."""
    for one in session.result.scores:
        if one.candidate == one.set == 0 and math.isfinite(one.figure.value):
            yield one.metric, one.figure.value
