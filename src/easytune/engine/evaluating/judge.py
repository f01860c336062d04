"""Another model says which answer is better: each candidate against the first one, row by row.

Every pair of answers is asked in both orders, since judges favour a place (Zheng et al., "Judging
LLM-as-a-Judge with MT-Bench and Chatbot Arena", 2023). Verdicts are appended to `verdicts.jsonl` as
they come, so that a stopped evaluation goes on where it was.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from easytune import model_files
from easytune.config import ModelSection
from easytune.engine.evaluating import asking, continued, judge_figures, judge_prompt
from easytune.engine.evaluating.batches import BatchSize
from easytune.engine.evaluating.candidates import Asked, adapter_of, load
from easytune.engine.evaluating.judge_endpoint import Endpoint, JudgeProblem
from easytune.engine.evaluating.judge_prompt import Pick
from easytune.engine.evaluating.progress import Progress
from easytune.engine.evaluating.session import Session
from easytune.errors import EasyTuneError
from easytune.evaluation_files import RowAnswer, Verdict
from easytune.found_model import FoundModel
from easytune.generation import SamplingSection
from easytune.wire import Column, Turn

_HOPELESS = 10
_OFTEN = 0.25
_LONGEST_REPLY_TOKENS = 1024
Pair = tuple[int, int]
"""A row and the candidate whose answer to it is held against the first candidate's."""


def run(session: Session) -> None:
    """Have the answers judged as the order says; figures and findings go to `session.result`.

    A judge that cannot be reached, or says nothing that can be read, becomes a finding; verdicts
    that there are by then count.
    """
    options = session.order.config.judge
    if options.by == "off" or session.stop.asked():
        return
    if len(session.order.candidates) < 2:
        session.result.find("judge_needs_two")
        return
    known = continued.taken_over(session, Verdict, lambda folder: folder.verdicts, "judge")
    bench = _Bench(session, known)
    try:
        if bench.questions:
            (_ask_endpoint if options.by == "endpoint" else _ask_model)(session, bench)
    except JudgeProblem as problem:
        session.result.find(problem.code, **problem.values)
    except EasyTuneError as problem:
        session.failed("judge_failed", problem, judge=options.model)
    bench.tell()
    _score(session, bench.verdicts)


@dataclass(frozen=True)
class _Question:
    pair: Pair
    swapped: bool
    """Whether the first candidate's answer stands second."""
    text: str


@dataclass
class _Bench:
    """What is to be judged, what has been said, and what came of it."""

    session: Session
    verdicts: list[Verdict]
    questions: list[_Question] = field(default_factory=list)
    progress: Progress = field(init=False)
    _said: dict[Pair, list[tuple[Pick | None, str]]] = field(default_factory=dict)
    _replies: int = 0
    _odd: int = 0
    _failed: int = 0
    _changed: int = 0

    def __post_init__(self) -> None:
        answers = {(one.candidate, one.row): one for one in self.session.answers}
        done = {(one.row, one.candidate) for one in self.verdicts}
        for row in range(len(self.session.rows)):
            for candidate in range(1, len(self.session.order.candidates)):
                first, other = answers.get((0, row)), answers.get((candidate, row))
                if first and other and not (first.code or other.code or (row, candidate) in done):
                    self._add((row, candidate), first, other)
        self.progress = Progress(self.session.report, len(self.questions))

    def take(self, place: int, reply: str | None) -> None:
        """Note one reply; with the second of a pair its verdict is written.

        Raises JudgeProblem when there is no hope that this judge ever says something readable.
        """
        question = self.questions[place]
        found = judge_prompt.pick(reply) if reply is not None else None
        self._replies += 1
        self.progress.tell(self._replies, question.pair[1])
        self._failed += reply is None
        self._odd += reply is not None and found is None
        said = self._said.setdefault(question.pair, [])
        reason = judge_prompt.reason(reply or "")
        said.insert(0 if not question.swapped else len(said), (found, reason))
        if len(said) == 2:
            self._decide(question.pair, said)
        if self._replies == _HOPELESS and self._odd + self._failed == _HOPELESS:
            raise JudgeProblem("judge_nonsense", replies=_HOPELESS, example=reason[:120])

    def tell(self) -> None:
        """Say what the user should know of this judge."""
        result = self.session.result
        if unread := self._odd + self._failed:
            pairs = sum(None in (pick for pick, _ in said) for said in self._said.values())
            result.find("judge_unread", count=unread, replies=self._replies, rows=pairs)
        judged = sum(len(said) == 2 for said in self._said.values())
        if judged and self._changed / judged > _OFTEN:
            result.find("judge_changes_mind", count=self._changed, rows=judged)

    def _add(self, pair: Pair, first: RowAnswer, other: RowAnswer) -> None:
        if first.text.strip() == other.text.strip():
            # The same words are as good as each other; that costs no question.
            self._write(Verdict(row=pair[0], candidate=pair[1], against=0, score=0.5))
            return
        row, rubric = self.session.rows[pair[0]], self.session.order.config.judge.rubric
        for swapped in (False, True):
            texts = (other.text, first.text) if swapped else (first.text, other.text)
            self.questions.append(
                _Question(pair, swapped, judge_prompt.question(row, *texts, rubric))
            )

    def _decide(self, pair: Pair, said: list[tuple[Pick | None, str]]) -> None:
        (plain, why), (swapped, why_swapped) = said
        if plain is None or swapped is None:
            return
        # The same place preferred twice is no opinion about the answers.
        self._changed += plain == swapped != "tie"
        score = judge_prompt.score((plain, swapped))
        reasons = (why, why_swapped)
        row, candidate = pair
        self._write(Verdict(row=row, candidate=candidate, against=0, score=score, reasons=reasons))

    def _write(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)
        continued.append(self.session.folder.verdicts, verdict)


def _ask_endpoint(session: Session, bench: _Bench) -> None:
    options = session.order.config.judge
    for name, value in (("judge.url", options.url), ("judge.model", options.model)):
        if not value.strip():
            raise JudgeProblem("judge_unset", option=name)
    # The one place that reads it: a key must not be in any file, so nobody can pass it on.
    key = os.environ.get(options.key_variable, "") if options.key_variable else ""
    endpoint = Endpoint(options, key)
    endpoint.ask([one.text for one in bench.questions], bench.take, session.stop.asked)


def _ask_model(session: Session, bench: _Bench) -> None:
    """Ask a model of this machine, on the base in memory where it is that one's."""
    judge = _local(session)
    if judge.fingerprint in {one.fingerprint for one in session.order.candidates}:
        session.result.find("judge_is_candidate", model=judge.title)
    if any(one.base == judge.base for one in session.order.candidates):
        with session.base(judge.base) as asked:
            _ask_loaded(session, bench, asked, judge)
        return
    session.unload()
    session.report.phase("loading_model")
    asked = load(judge, session.order)
    session.report.phase("judging")
    try:
        _ask_loaded(session, bench, asked, judge)
    finally:
        asked.close()


def _ask_loaded(session: Session, bench: _Bench, asked: Asked, judge: FoundModel) -> None:
    test = session.order.config.test
    sampling = SamplingSection(
        temperature=0, max_new_tokens=_LONGEST_REPLY_TOKENS, seed=test.seed % 2**32
    )
    columns = [
        Column(
            adapter=adapter_of(judge),
            messages=(Turn(role="user", content=one.text),),
            sampling=sampling,
        )
        for one in bench.questions
    ]
    size = BatchSize(asked.held, test.batch_size)
    for place, answer in asking.answers(asked, columns, size, session.stop.asked):
        if answer.reason != "cancelled":
            bench.take(place, None if answer.code else answer.text)


def _local(session: Session) -> FoundModel:
    """Return the model that judges. Raises JudgeProblem, ModelMissing."""
    order, name = session.order, session.order.config.judge.model.strip()
    if order.judge is not None:
        return order.judge
    if not name:
        raise JudgeProblem("judge_unset", option="judge.model")
    for one in order.candidates:
        if one.id == name:
            return one
    folder = model_files.resolve(ModelSection(base_model=name), session.home)
    if folder is None:
        raise JudgeProblem("judge_model_unknown", model=name)
    return FoundModel(
        id=name, title=name, kind="base", folder=str(folder), base=name, base_folder=str(folder),
        is_adapter=False, fingerprint="",
    )  # fmt: skip


def _score(session: Session, verdicts: Sequence[Verdict]) -> None:
    """Add the figures of all verdicts to the result, by test set and candidate."""
    if not verdicts:
        return
    rows, order = session.rows, session.order
    sets = sorted({row.set for row in rows})
    for place in sets:
        for candidate in range(1, len(order.candidates)):
            scores = [
                one.score
                for one in verdicts
                if one.candidate == candidate and rows[one.row].set == place
            ]
            if scores:
                session.result.scores.append(judge_figures.scored(place, candidate, scores))
    options = order.config.judge
    rubric = hashlib.sha256((options.rubric.strip() or judge_prompt.RUBRIC).encode()).hexdigest()
    session.result.signatures[judge_figures.METRIC] = (
        f"judge:{options.model}|by:{options.by}|prompt:{judge_prompt.VERSION}|rubric:{rubric[:8]}"
        "|orders:both|tie:50|ci:wilson|p:sign test"
    )
