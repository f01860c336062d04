"""Finding rows: on columns as far as it goes; texts are streamed, a few thousand at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easytune.data.formats import Layout
from easytune.data.insight.row_facts import RowFacts, facts_of
from easytune.data.stored import Batch, parse, row_text
from easytune.data.versions.search import Filter
from easytune.dataset_errors import PatternInvalid

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from easytune.data.versions.rows import Rows

_ROWS_AT_ONCE = 4_000
_VERIFIED = 200
# Who speaks is no text that anybody looks for.
_NO_TEXT = frozenset(("role", "from"))


def positions(rows: "Rows", wanted: Filter) -> "np.ndarray":
    """Return the positions of the rows that fit, in order. Raises PatternInvalid."""
    import numpy as np

    fits = np.ones(len(rows), bool)
    if wanted.held_out is not None:
        fits &= rows.held_out() == wanted.held_out
    if wanted.problem:
        fits &= _with_problem(rows, wanted.problem)
    if wanted.duplicates is not None:
        fits &= repeated(rows.ids()) == wanted.duplicates
    if wanted.text:
        fits = (_by_pattern if wanted.regex else _by_text)(rows, wanted.text, fits)
    if _asks_for_facts(wanted):
        fits &= _by_facts(rows, wanted, fits)
    return np.flatnonzero(fits)


def repeated(ids: "np.ndarray") -> "np.ndarray":
    """Tell of each row whether its content occurs more than once."""
    import numpy as np

    # By their first half all but a few are told apart, in a third of the memory.
    halves = np.ascontiguousarray(ids).view(np.uint64)[::2]
    order = np.argsort(halves)
    alike = np.flatnonzero(np.diff(halves[order]) == 0)
    likely = np.unique(order[np.concatenate([alike, alike + 1])])
    _, codes, counts = np.unique(ids[likely], return_inverse=True, return_counts=True)
    found = np.zeros(len(ids), bool)
    found[likely] = counts[codes] > 1
    return found


# --- problems ---------------------------------------------------------------


def _with_problem(rows: "Rows", problem: str) -> "np.ndarray":
    if problem in ("any", "none"):
        return rows.unusable() == (problem == "any")
    return rows.spread(lambda name: rows.problem_codes(name) == problem, bool)


# --- text -------------------------------------------------------------------


def _by_text(rows: "Rows", text: str, fits: "np.ndarray") -> "np.ndarray":
    """Return which rows have a text in them, whatever its case.

    The JSON of the rows is searched first, as it is; what is found there may be but the name of a
    field, and then is looked at again.
    """
    import numpy as np

    ways = dict.fromkeys((row_text(text)[1:-1], text))

    def look(texts: "pa.Array") -> "np.ndarray":
        hits = [_matches(texts, way, "match_substring", ignore_case=True) for way in ways]
        return np.logical_or.reduce(hits)

    found = np.flatnonzero(
        fits & rows.spread(lambda name: _hits(rows.segment_path(name), look), bool)
    )
    fits = np.zeros(len(rows), bool)
    sure = list(_contents(rows, found[:_VERIFIED]))
    if all(text.casefold() in content.casefold() for content in sure):
        fits[found] = True
        return fits
    real = [text.casefold() in content.casefold() for content in _contents(rows, found)]
    fits[found] = real
    return fits


def _by_pattern(rows: "Rows", pattern: str, fits: "np.ndarray") -> "np.ndarray":
    """Return which rows have a text that a pattern fits; `^` and `$` stand at ends of lines."""
    import pyarrow as pa

    def look(texts: "pa.Array") -> "np.ndarray":
        contents = pa.array([content_of(text) for text in texts.to_pylist()], pa.string())
        return _matches(contents, f"(?m){pattern}", "match_substring_regex")

    try:
        look(pa.array([""]))
    except pa.ArrowInvalid as error:
        reason = str(error).partition(": ")[2].replace("(?m)", "", 1)
        raise PatternInvalid(pattern, reason) from error
    return fits & rows.spread(lambda name: _hits(rows.segment_path(name), look), bool)


def _matches(
    texts: "pa.Array", pattern: str, function: str, ignore_case: bool = False
) -> "np.ndarray":
    import pyarrow.compute as compute

    options = compute.MatchSubstringOptions(pattern, ignore_case=ignore_case)
    found = compute.call_function(function, [texts], options)
    return found.to_numpy(zero_copy_only=False)


def _hits(path: Path, look: "Callable[[pa.Array], np.ndarray]") -> "np.ndarray":
    """Return for each row of a segment whether its text is one looked for."""
    import numpy as np
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path) as file:
        # Read through at once, a file would be kept in memory to its end.
        groups = (
            file.read_row_group(place, columns=["text"], use_threads=False)["text"]
            for place in range(file.num_row_groups)
        )
        return np.concatenate([look(texts) for group in groups for texts in group.chunks])


def _contents(rows: "Rows", places: "np.ndarray") -> Iterator[str]:
    for first in range(0, len(places), _ROWS_AT_ONCE):
        for row in rows.at(places[first : first + _ROWS_AT_ONCE]):
            yield content_of(row.text)


def content_of(text: str) -> str:
    """Return the texts in a row's JSON, a line between them; without names of fields and roles."""
    try:
        value = parse(text)
    except ValueError:
        return text
    found: list[str] = []
    _collect(value, found)
    return "\n".join(found)


def _collect(value: Any, into: list[str]) -> None:
    if isinstance(value, str):
        into.append(value)
    elif isinstance(value, dict):
        for name, part in value.items():
            if name not in _NO_TEXT:
                _collect(part, into)
    elif isinstance(value, list):
        for part in value:
            _collect(part, into)
    elif value is not None:
        into.append(row_text(value))


# --- facts ------------------------------------------------------------------


def _asks_for_facts(wanted: Filter) -> bool:
    lengths = (wanted.min_length, wanted.max_length)
    return bool(wanted.role or wanted.language) or any(length is not None for length in lengths)


def _by_facts(rows: "Rows", wanted: Filter, fits: "np.ndarray") -> "np.ndarray":
    """Return which rows fit by who speaks, length and language.

    Facts that are kept are taken from there; for all other rows that are still in question they
    are found on the way.
    """
    import numpy as np

    segment, row = rows.locations()
    found = np.zeros(len(rows), bool)
    for index, name in enumerate(rows.segments):
        mine = np.flatnonzero(fits & (segment == index))
        path = rows.facts_path(name)
        if path.is_file():
            found[mine] = _kept(path, wanted)[row[mine]]
        else:
            found[mine] = _computed(rows, mine, wanted)
    return found


def _kept(path: Path, wanted: Filter) -> "np.ndarray":
    import numpy as np
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path) as file:
        table = file.read(columns=["characters", *_columns_asked(wanted)])
    characters = table["characters"].to_numpy()
    fits = np.ones(len(characters), bool)
    if wanted.min_length is not None:
        fits &= characters >= wanted.min_length
    if wanted.max_length is not None:
        fits &= characters <= wanted.max_length
    if wanted.language:
        fits &= table["language"].to_numpy() == wanted.language
    if wanted.role:
        roles = table["roles"].combine_chunks()
        spoken = np.flatnonzero(roles.flatten().to_numpy(zero_copy_only=False) == wanted.role)
        speaks = np.zeros(len(characters), bool)
        speaks[roles.value_parent_indices().to_numpy()[spoken]] = True
        fits &= speaks
    return fits


def _columns_asked(wanted: Filter) -> list[str]:
    asked = {"language": wanted.language, "roles": wanted.role}
    return [name for name, value in asked.items() if value]


def _computed(rows: "Rows", places: "np.ndarray", wanted: Filter) -> list[bool]:
    fits: list[bool] = []
    for first in range(0, len(places), _ROWS_AT_ONCE):
        batch = rows.batch_at(places[first : first + _ROWS_AT_ONCE])
        fits += [_fits(facts, wanted) for facts in _facts(batch, rows.facts.layouts, wanted)]
    return fits


def _facts(batch: Batch, layouts: dict[str, Layout], wanted: Filter) -> Iterator[RowFacts]:
    with_language = bool(wanted.language)
    for place, text in enumerate(batch.texts):
        if place in batch.problems:
            yield RowFacts(len(text))
        else:
            layout = layouts.get(batch.sources[place], Layout())
            yield facts_of(parse(text), layout, with_language=with_language)


def _fits(facts: RowFacts, wanted: Filter) -> bool:
    return (
        (wanted.min_length is None or facts.characters >= wanted.min_length)
        and (wanted.max_length is None or facts.characters <= wanted.max_length)
        and (not wanted.language or facts.language == wanted.language)
        and (not wanted.role or wanted.role in facts.roles)
    )
