"""Keeping the rows of a certain length, language or wording."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from easytune.data import formats
from easytune.data.formats import Layout
from easytune.data.insight.language import language_of
from easytune.data.rows import Problem
from easytune.data.steps import patterns
from easytune.data.steps.options import FilterSection
from easytune.data.steps.step import Transform
from easytune.data.steps.texts import Texts


def prepare(options: FilterSection, found: Counter[str]) -> Transform:
    """Return what drops a row that does not meet all conditions, counting why in `found`."""
    tests = _tests(options)
    text_of = answers if options.measure == "answer" else row_text

    def keep(value: Any, layout: Layout) -> list[Any]:
        text = text_of(value, layout)
        for name, met in tests:
            if not met(text):
                found[name] += 1
                return []
        return [value]

    return keep


def row_text(value: Any, layout: Layout) -> str:
    """Return all texts of a row, a line each."""
    return "\n".join(Texts().read(value))


def answers(value: Any, layout: Layout) -> str:
    """Return what is learned from a row: all answers, a line each, or its whole plain text."""
    found = formats.convert(value, 0, "", layout) if layout.format else None
    if found is None or isinstance(found, Problem):
        return row_text(value, layout)
    row, _ = found
    if row.messages is None:
        return row.text or ""
    return "\n".join(turn.content for turn in row.messages if turn.role == "assistant")


def _tests(options: FilterSection) -> list[tuple[str, Callable[[str], bool]]]:
    least, most = options.min_characters, options.max_characters
    languages = frozenset(language.strip().lower() for language in options.languages)
    tests: list[tuple[str, Callable[[str], bool]]] = []
    if least:
        tests.append(("too_short", lambda text: len(text) >= least))
    if most is not None:
        tests.append(("too_long", lambda text: len(text) <= most))
    if options.matching:
        tests.append(("without_match", patterns.search(options.matching)))
    if options.not_matching:
        matches = patterns.search(options.not_matching)
        tests.append(("with_match", lambda text: not matches(text)))
    if languages:
        tests.append(("language", lambda text: language_of(text) in languages))
    return tests
