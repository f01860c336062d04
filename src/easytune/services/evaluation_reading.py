"""The rows, answers and scores of evaluations, read once and again only when they have changed."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from easytune import records
from easytune.evaluation_files import EvaluationFolder, RowAnswer, TestRow, Verdict

Scores = dict[str, list[list[float | None]]]
"""Metric -> candidate -> a score per row, None where none applies."""
R = TypeVar("R", bound=BaseModel)
_KEPT = 12
_SCORES: TypeAdapter[Scores] = TypeAdapter(Scores)


class _Lines:
    """The records of one file that only grows; each look parses what is new."""

    def __init__(self, path: Path, parse: Callable[[bytes], Any]) -> None:
        self.found: list[Any] = []
        self._path, self._parse, self._offset = path, parse, 0

    def look(self) -> list[Any]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                block = file.read()
        except FileNotFoundError:
            return self.found
        # A half-written last line is left for the next look.
        whole = block[: block.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            try:
                self.found.append(self._parse(line))
            except (ValueError, ValidationError):
                # What a power cut left behind; the job asks for that answer again.
                continue
        return self.found


class Reading:
    """What the jobs have written, of the evaluations that were asked for last."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._lock = threading.Lock()
        self._lines: OrderedDict[Path, _Lines] = OrderedDict()
        self._scores: OrderedDict[Path, tuple[str, Scores]] = OrderedDict()

    def rows(self, folder: EvaluationFolder) -> list[TestRow]:
        """Return the test rows, each at its own number; none before the job has read them."""
        return self._records(folder.rows, TestRow)

    def answers(self, folder: EvaluationFolder) -> list[RowAnswer]:
        """Return the answers so far: of what was answered twice, the later one."""
        latest = {(a.candidate, a.row): a for a in self._records(folder.answers, RowAnswer)}
        return [*latest.values()]

    def verdicts(self, folder: EvaluationFolder) -> list[Verdict]:
        """Return what the judge has said so far."""
        return self._records(folder.verdicts, Verdict)

    def transcripts(self, folder: EvaluationFolder) -> list[dict[str, Any]]:
        """Return prompts and answers of the safety probe, as the job wrote them."""
        return self._look(folder.refusals, json.loads)

    def scores(self, folder: EvaluationFolder) -> Scores:
        """Return metric -> candidate -> a score per row; empty until the job has scored."""
        mark = records.mark(folder.scores)
        with self._lock:
            known = self._scores.get(folder.scores)
            if known is None or known[0] != mark:
                known = mark, _read_scores(folder.scores)
                _keep(self._scores, folder.scores, known)
            return known[1]

    def forget(self, folder: EvaluationFolder) -> None:
        """Let go of what was read of a folder that is being deleted."""
        with self._lock:
            for known in (self._lines, self._scores):
                for path in [path for path in known if path.is_relative_to(folder.path)]:
                    del known[path]

    def _records(self, path: Path, kind: type[R]) -> list[R]:
        return self._look(path, kind.model_validate_json)

    def _look(self, path: Path, parse: Callable[[bytes], Any]) -> list[Any]:
        with self._lock:
            reader = self._lines.get(path) or _Lines(path, parse)
            _keep(self._lines, path, reader)
            return [*reader.look()]


def _keep(known: OrderedDict[Path, Any], path: Path, value: Any) -> None:
    """Note what was read, and let go of what nobody has asked for in a while."""
    known[path] = value
    known.move_to_end(path)
    while len(known) > _KEPT:
        known.popitem(last=False)


def _read_scores(path: Path) -> Scores:
    try:
        return _SCORES.validate_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
