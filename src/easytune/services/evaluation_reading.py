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
_MOST_BYTES = 8 << 20
"""What is kept besides the evaluation asked for last; in memory it takes about thirteen times as
much.
"""
_SCORES: TypeAdapter[Scores] = TypeAdapter(Scores)


class _Lines:
    """The records of one file that only grows; each look parses what is new."""

    def __init__(self, path: Path, parse: Callable[[bytes], Any]) -> None:
        self.found: list[Any] = []
        self.size = 0
        self._path, self._parse = path, parse

    def look(self) -> list[Any]:
        try:
            with self._path.open("rb") as file:
                file.seek(self.size)
                block = file.read()
        except FileNotFoundError:
            return self.found
        # A half-written last line is left for the next look.
        whole = block[: block.rfind(b"\n") + 1]
        self.size += len(whole)
        for line in whole.splitlines():
            try:
                self.found.append(self._parse(line))
            except (ValueError, ValidationError):
                # What a power cut left behind; the job asks for that answer again.
                continue
        return self.found


class _Read:
    """What was read of one evaluation."""

    def __init__(self) -> None:
        self.lines: dict[Path, _Lines] = {}
        self.scores: Scores = {}
        self.scores_mark = ""

    @property
    def size(self) -> int:
        """Return how many bytes of text it is about, a score counted as eight."""
        scores = sum(len(one) for by_model in self.scores.values() for one in by_model)
        return 8 * scores + sum(one.size for one in self.lines.values())


class Reading:
    """What the jobs have written, of the evaluations that were asked for last."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._lock = threading.Lock()
        self._read: OrderedDict[Path, _Read] = OrderedDict()

    def rows(self, folder: EvaluationFolder) -> list[TestRow]:
        """Return the test rows, each at its own number; none before the job has read them."""
        return self._records(folder, folder.rows, TestRow)

    def answers(self, folder: EvaluationFolder) -> list[RowAnswer]:
        """Return the answers so far: of what was answered twice, the later one."""
        latest = {(a.candidate, a.row): a for a in self._records(folder, folder.answers, RowAnswer)}
        return [*latest.values()]

    def verdicts(self, folder: EvaluationFolder) -> list[Verdict]:
        """Return what the judge has said so far."""
        return self._records(folder, folder.verdicts, Verdict)

    def transcripts(self, folder: EvaluationFolder) -> list[dict[str, Any]]:
        """Return prompts and answers of the safety probe, as the job wrote them."""
        return self._look(folder, folder.refusals, json.loads)

    def scores(self, folder: EvaluationFolder) -> Scores:
        """Return metric -> candidate -> a score per row; empty until the job has scored."""
        mark = records.mark(folder.scores)
        with self._lock:
            known = self._of(folder)
            if known.scores_mark != mark:
                known.scores_mark, known.scores = mark, _read_scores(folder.scores)
            return known.scores

    def forget(self, folder: EvaluationFolder) -> None:
        """Let go of what was read of a folder that is being deleted."""
        with self._lock:
            self._read.pop(folder.path, None)

    def _of(self, folder: EvaluationFolder) -> _Read:
        """Return what is known of an evaluation; let go of those asked for longest ago."""
        known = self._read.setdefault(folder.path, _Read())
        self._read.move_to_end(folder.path)
        others = sum(one.size for one in self._read.values()) - known.size
        while others > _MOST_BYTES:
            others -= self._read.popitem(last=False)[1].size
        return known

    def _records(self, folder: EvaluationFolder, path: Path, kind: type[R]) -> list[R]:
        return self._look(folder, path, kind.model_validate_json)

    def _look(
        self, folder: EvaluationFolder, path: Path, parse: Callable[[bytes], Any]
    ) -> list[Any]:
        with self._lock:
            return [*self._of(folder).lines.setdefault(path, _Lines(path, parse)).look()]


def _read_scores(path: Path) -> Scores:
    try:
        return _SCORES.validate_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
