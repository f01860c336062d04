"""What every part of an evaluation works with: the order, the rows, the models, the result.

A part is `run(session)` in a module of this package. It adds what it found to `session.result`, and
what does not apply as a finding; it looks at `session.stop.asked()` between its pieces of work.
"""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from easytune.engine.evaluating.candidates import Asked, Group, groups, load
from easytune.engine.reporting import Reporter
from easytune.engine.stopping import StopSignal
from easytune.errors import EasyTuneError
from easytune.evaluation_files import (
    Benchmarked,
    EvaluationFolder,
    Finding,
    Forgotten,
    Order,
    Overlap,
    Refusals,
    Result,
    RowAnswer,
    Scored,
    TestRow,
    TestSet,
)
from easytune.found_model import FoundModel


@dataclass
class Draft:
    """The result while it grows."""

    sets: list[TestSet] = field(default_factory=list)
    scores: list[Scored] = field(default_factory=list)
    signatures: dict[str, str] = field(default_factory=dict)
    forgetting: list[Forgotten] = field(default_factory=list)
    safety: list[Refusals] = field(default_factory=list)
    benchmarks: list[Benchmarked] = field(default_factory=list)
    overlaps: list[Overlap] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    batch_size: int | None = None

    def find(self, code: str, **values: Any) -> None:
        """Note what did not apply or went wrong; text `evaluation.finding.<code>`."""
        finding = Finding(code=code, values=values)
        if finding not in self.findings:
            self.findings.append(finding)

    def result(self, seconds: float) -> Result:
        """Return what there is by now; `seconds` is what it took."""
        return Result(
            sets=tuple(self.sets),
            scores=tuple(self.scores),
            signatures=dict(self.signatures),
            forgetting=tuple(self.forgetting),
            safety=tuple(self.safety),
            benchmarks=tuple(self.benchmarks),
            overlaps=tuple(self.overlaps),
            findings=tuple(self.findings),
            batch_size=self.batch_size,
            seconds=round(seconds, 3),
        )


class Session:
    """One evaluation while it is worked on. One base model is in memory at a time."""

    def __init__(
        self, order: Order, folder: EvaluationFolder, report: Reporter, stop: StopSignal
    ) -> None:
        self.order, self.folder, self.report, self.stop = order, folder, report, stop
        self.home: Path = folder.path.parent.parent
        self.rows: list[TestRow] = []
        self.answers: list[RowAnswer] = []
        self.result = Draft()
        self._began = time.monotonic()
        self._asked: Asked | None = None
        self._base: str | None = None

    @property
    def groups(self) -> list[Group]:
        """Return the candidates by base, in the order in which the bases first appear."""
        return groups(self.order.candidates)

    @contextmanager
    def base(self, base_id: str) -> Iterator[Asked]:
        """Have a base model in memory, loaded unless it is there, bare of adapters afterwards.

        It stays until another is asked for. Raises EasyTuneError when it cannot be loaded.
        """
        if self._asked is None or self._base != base_id:
            self.unload()
            doing = self.report.doing
            self.report.phase("loading_model")
            self._asked, self._base = load(self._first_on(base_id), self.order), base_id
            self.report.phase(doing)
        asked = self._asked
        try:
            yield asked
        finally:
            asked.attached.release()

    def unload(self) -> None:
        """Give the memory of the base model back."""
        if self._asked is None:
            return
        self._asked.close()
        self._asked = self._base = None
        gc.collect()

    def failed(self, code: str, error: EasyTuneError, **values: Any) -> None:
        """Note as a finding that something failed; its `problem` is the error's sentence."""
        problem = {"problem": f"@error.{error.code()}"}
        facts = {"reason": problem["problem"]} | error.values | values | problem
        self.result.find(code, **facts)

    def seconds(self) -> float:
        """Return how long this has taken so far."""
        return time.monotonic() - self._began

    def _first_on(self, base_id: str) -> FoundModel:
        return next(one for one in self.order.candidates if one.base == base_id)


Part = Callable[[Session], None]
