"""From files to batches of rows that versions keep."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from easytune.data import formats
from easytune.data.formats import Layout
from easytune.data.progress import Progress
from easytune.data.reading.archives import Shelf
from easytune.data.reading.kinds import read
from easytune.data.reading.places import Place
from easytune.data.reading.planning import Planned, PlannedSource
from easytune.data.reading.records import Chunk, Unparsed, mended
from easytune.data.reading.streams import Opened
from easytune.data.rows import Problem
from easytune.data.stored import Batch, parse, raw_id, row_id, row_text

_ROWS = 10_000
_CHARACTERS = 8_000_000


def batches(planned: Planned, progress: Progress) -> Iterator[Batch]:
    """Yield all rows of a planned dataset, about 10,000 or 8 MB at a time.

    A row that cannot be used stands in its place with its problem. Progress is told in bytes, as
    phase `read`. Once all is read, each source has its `digest`, `bytes`, `rows` and `problems`.
    Raises FileMissing, FileEmpty, FileUnreadable, ArchiveUnsafe, and what `progress` raises.
    """
    total = sum(source.bytes for source in planned.sources)
    before = 0
    filler = _Filler()
    with Shelf() as shelf:
        for source in planned.sources:
            place = Place(source.name, source.path, source.member)
            with Opened(place, shelf) as opened:
                for chunk in read(opened):
                    progress("read", before + opened.done, total, "bytes")
                    filler.add(chunk, source)
                    if filler.is_full:
                        yield filler.take()
                source.digest, source.bytes = opened.digest(), opened.total
            before += opened.total
            progress("read", before, max(total, before), "bytes")
    if len(filler.batch):
        yield filler.take()


class _Filler:
    """Gathers rows into a batch."""

    def __init__(self) -> None:
        self.batch = Batch()
        self._characters = 0

    @property
    def is_full(self) -> bool:
        return len(self.batch) >= _ROWS or self._characters >= _CHARACTERS

    def take(self) -> Batch:
        full, self.batch, self._characters = self.batch, Batch(), 0
        return full

    def add(self, chunk: Chunk, source: PlannedSource) -> None:
        """Append rows, each checked against the layout of its source."""
        batch, values = self.batch, chunk.values
        start, problems = len(batch), len(batch.problems)
        try:
            if not all(map(formats.surely_fits(source.layout), values)):
                raise TypeError
            texts, ids = list(map(row_text, values)), list(map(row_id, values))
        except TypeError:
            self._add_each(values, source.layout)
        else:
            batch.texts += texts
            batch.ids += ids
        batch.numbers += chunk.numbers
        batch.sources += [source.name] * len(chunk)
        self._characters += sum(map(len, batch.texts[start:]))
        source.rows += len(chunk)
        source.problems += len(batch.problems) - problems

    def _add_each(self, values: Sequence[Any], layout: Layout) -> None:
        surely_fits = formats.surely_fits(layout)
        batch = self.batch
        for value in values:
            problem = None
            try:
                if surely_fits(value):
                    text, identity = row_text(value), row_id(value)
                else:
                    text, identity, problem = _looked_at(value, layout)
            except TypeError:
                text, identity, problem = _unwritable(value, _problem(value, layout))
            if problem:
                batch.problems[len(batch)] = problem
            batch.texts.append(text)
            batch.ids.append(identity)


_Problem = tuple[str, dict[str, Any]]


def _looked_at(value: Any, layout: Layout) -> tuple[str, bytes, _Problem | None]:
    """Return a row's text, its id, and why it cannot be used. Raises TypeError if unwritable."""
    if isinstance(value, Unparsed):
        return value.text, raw_id(value.text), (value.code, value.values)
    text = row_text(value)
    problem = _problem(value, layout)
    if problem:
        # Without NaN and the like, which JSON has not, the row may well be usable.
        problem = _problem(parse(text), layout)
    return text, row_id(value), problem


def _unwritable(value: Any, problem: _Problem | None) -> tuple[str, bytes, _Problem | None]:
    """Return what can be kept of a row with damaged characters, vast numbers or deep nesting."""
    try:
        text = json.dumps(value, ensure_ascii=False)
        plain = parse(mended(text))
        if mended(text) == text:
            return row_text(plain), row_id(plain), problem
    except (ValueError, TypeError, RecursionError):
        return "", raw_id(""), ("too_deep", {})
    return mended(text), raw_id(mended(text)), problem or ("damaged", {"field": _damaged(value)})


def _damaged(value: Any) -> str:
    """Return the field that has damaged characters."""
    named = value.items() if isinstance(value, dict) else ()
    for name, content in named:
        text = json.dumps([name, content], ensure_ascii=False)
        if mended(text) != text:
            return mended(name)
    return ""


def _problem(value: Any, layout: Layout) -> _Problem | None:
    match formats.convert(value, 0, "", layout):
        case Problem() as problem:
            return problem.code, problem.values
        case _:
            return None
