"""Metrics of answers that should be JSON: whether they are, and how many fields are right."""

import json
import re
from typing import Any

from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import RowAnswer, TestRow
from easytune.metrics import plain
from easytune.scoring.measure import Counts, Measure, always, wanted

_FENCED = re.compile(r"\s*```(?:json)?[^\S\n]*\n(.*?)\n?```\s*", re.DOTALL | re.IGNORECASE)
_MISSING = object()


def parsed(text: str) -> Any | None:
    """Return the JSON object or list that a text is, alone or as its only block of code."""
    fenced = _FENCED.fullmatch(text)
    try:
        content = json.loads(fenced[1] if fenced else text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict | list) else None


def fields(content: Any) -> dict[tuple[str | int, ...], Any]:
    """Return each value of JSON content that holds no others, by its path."""
    found: dict[tuple[str | int, ...], Any] = {}
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), content)]
    while waiting:
        path, value = waiting.pop()
        if value and isinstance(value, dict | list):
            inner = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [((*path, name), one) for name, one in inner]
        else:
            found[path] = value
    return found


def share_of_fields(content: Any, reference: Any) -> float:
    """Return how many fields of the reference have the same value in `content`, 0 to 100."""
    had, expected = fields(content), fields(reference)
    right = sum(_is_same(had.get(path, _MISSING), value) for path, value in expected.items())
    return 100 * right / len(expected)


def _valid_counts(row: TestRow, answer: RowAnswer, config: EvaluateConfig) -> Counts | None:
    """Count an answer that is JSON, where the reference is or where there is none."""
    reference = wanted(row)
    if answer.code or (reference is not None and parsed(reference) is None):
        return None
    return 100.0 * (parsed(answer.text) is not None), 1.0


def _field_counts(row: TestRow, answer: RowAnswer, config: EvaluateConfig) -> Counts | None:
    reference = parsed(wanted(row) or "")
    if answer.code or reference is None:
        return None
    content = parsed(answer.text)
    return 0.0 if content is None else share_of_fields(content, reference), 1.0


def _is_same(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return plain(left) == plain(right)
    # In Python True is 1, in JSON it is not.
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _refused(constant: str) -> Any:
    raise ValueError(constant)


MEASURES: tuple[Measure, ...] = (
    Measure(
        "json_valid", _valid_counts, always("RFC 8259 object or list|fence:allowed"),
        needs=frozenset({"json"}), is_share=True,
    ),
    Measure(
        "json_fields", _field_counts, always("fields of the reference with equal value"),
        needs=frozenset({"reference", "json"}),
    ),
)  # fmt: skip
"""Metrics of JSON."""
