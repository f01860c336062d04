"""The rows and answers of an evaluation on disk, and what is taken over from an earlier one."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from easytune import records
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import EvaluationFolder, Order, RowAnswer, TestRow, lines
from easytune.scoring import MEASURES

_SCORED_OTHERWISE = {"likelihood", "choices"}


@dataclass(frozen=True)
class Wanted:
    """What is asked of every row: a written answer, and the likelihood of those that are known."""

    text: bool
    likelihood: bool

    def covers(self, other: "Wanted") -> bool:
        """Tell whether whoever wanted this has what another wants."""
        return self.text >= other.text and self.likelihood >= other.likelihood


def wanted(config: EvaluateConfig) -> Wanted:
    """Return what the metrics need; a judge needs answers."""
    needs = [MEASURES[name].needs for name in config.measure.metrics if name in MEASURES]
    likelihood = any(need & _SCORED_OTHERWISE for need in needs)
    only = bool(needs) and all(need & _SCORED_OTHERWISE for need in needs)
    return Wanted(text=not only or config.judge.by != "off", likelihood=likelihood)


def write_rows(folder: EvaluationFolder, rows: Iterable[TestRow]) -> None:
    """Write the rows whole. Raises OSError."""
    folder.out.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{row.model_dump_json()}\n" for row in rows)
    records.write_text(folder.rows, text)


class Answers:
    """What has been answered, and the file that it is kept in."""

    def __init__(self, path: Path) -> None:
        """Go on with a file, of which a half-written last line is dropped. Raises OSError."""
        self._path = path
        self._by_place = {(one.candidate, one.row): one for one in _answers(path)}
        _cut(path)

    def __contains__(self, place: tuple[int, int]) -> bool:
        return place in self._by_place

    def __len__(self) -> int:
        return len(self._by_place)

    @property
    def all(self) -> list[RowAnswer]:
        """Return every answer, by candidate and row."""
        return [self._by_place[place] for place in sorted(self._by_place)]

    def add(self, answers: Sequence[RowAnswer]) -> None:
        """Append answers; they are on disk when this returns. Raises OSError."""
        if not answers:
            return
        text = "".join(f"{one.model_dump_json()}\n" for one in answers)
        # A single write keeps lines whole for a reader in another process.
        with self._path.open("ab", buffering=0) as file:
            file.write(text.encode())
        self._by_place.update({(one.candidate, one.row): one for one in answers})


def taken_over(order: Order, rows: Sequence[TestRow], earlier: EvaluationFolder) -> list[RowAnswer]:
    """Return the answers of an earlier evaluation that are those of this one.

    They are of the same weights, asked the same row in the same way. Those that failed are not
    taken over: what failed is tried again.
    """
    try:
        before = earlier.order()
        old_rows = [TestRow.model_validate(line) for line in lines(earlier.rows)]
    except (OSError, ValueError, yaml.YAMLError):
        return []
    if not _asks_alike(before.config, order.config):
        return []
    places = _candidates(before, order)
    numbers = _numbers(old_rows, rows)
    found: dict[tuple[int, int], RowAnswer] = {}
    for one in _answers(earlier.answers):
        row = numbers.get(one.row)
        if row is not None and not one.code:
            for place in places.get(one.candidate, ()):
                found[place, row] = one.model_copy(update={"candidate": place, "row": row})
    return list(found.values())


def _asks_alike(before: EvaluateConfig, now: EvaluateConfig) -> bool:
    same = before.sampling == now.sampling and before.loading == now.loading
    # Without a seed of its own, sampling draws from that of the test.
    same = same and (now.sampling.seed is not None or before.test.seed == now.test.seed)
    return same and wanted(before).covers(wanted(now))


def _candidates(before: Order, now: Order) -> dict[int, list[int]]:
    """Return where the candidates of an earlier order are in this one, by their weights."""
    found: dict[int, list[int]] = {}
    for old, one in enumerate(before.candidates):
        key = (one.id, one.fingerprint)
        here = [i for i, two in enumerate(now.candidates) if (two.id, two.fingerprint) == key]
        found[old] = here
    return found


def _numbers(before: Sequence[TestRow], now: Sequence[TestRow]) -> dict[int, int]:
    """Return the number that each earlier row has now; rows that repeat keep their order."""
    waiting: dict[str, deque[int]] = {}
    for number, row in enumerate(now):
        waiting.setdefault(_content(row), deque()).append(number)
    found: dict[int, int] = {}
    for number, row in enumerate(before):
        if places := waiting.get(_content(row)):
            found[number] = places.popleft()
    return found


def _content(row: TestRow) -> str:
    return row.model_dump_json(exclude={"set", "id"})


def _answers(path: Path) -> Iterator[RowAnswer]:
    """Yield the whole lines that are answers."""
    for line in lines(path):
        try:
            yield RowAnswer.model_validate(line)
        except ValidationError:
            continue


def _cut(path: Path) -> None:
    """Cut a half-written last line off: the next one begins there."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
            os.fsync(file.fileno())
