"""A comparison as a report: prompts, answers, scores, votes, and all it takes to repeat it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from easytune import __version__
from easytune.inference_errors import ImportUnreadable
from easytune.metrics import METRICS
from easytune.services import comparison_sheet
from easytune.services.comparison import Column, Comparison, Entry, StoredAnswer
from easytune.services.comparison_markdown import markdown
from easytune.services.comparison_page import page
from easytune.services.report_table import as_csv
from easytune.services.votes import Pair

Form = Literal["html", "markdown", "csv", "json"]
ENDINGS: dict[Form, str] = {"html": ".html", "markdown": ".md", "csv": ".csv", "json": ".json"}
"""How a file in each form is called."""
_COMPARISON: TypeAdapter[Comparison] = TypeAdapter(Comparison)
_FORMAT = "easytune-comparison-1"


def render(
    comparison: Comparison,
    scores: Sequence[Mapping[str, float]],
    pairs: Sequence[Pair],
    form: Form,
    lang: str,
) -> str:
    """Return the report in a form: a page of its own, Markdown, a table, or everything as JSON.

    `scores` as from `Comparisons.scores`, `pairs` as from `Votes.pairs`. The table and JSON are
    for programs: their names are English in every language.
    """
    match form:
        case "html":
            return page(comparison_sheet.write(comparison, scores, pairs, lang), lang)
        case "markdown":
            return markdown(comparison_sheet.write(comparison, scores, pairs, lang), lang)
        case "csv":
            return as_csv(_rows(comparison))
        case "json":
            return _json(comparison, scores, pairs)


def read(path: Path) -> Comparison:
    """Return the comparison of a report that was written as JSON. Raises ImportUnreadable."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _COMPARISON.validate_python(content["comparison"])
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"])
        raise ImportUnreadable(path=str(path), reason=reason) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ImportUnreadable(path=str(path), reason=str(error)) from error


def _json(
    comparison: Comparison, scores: Sequence[Mapping[str, float]], pairs: Sequence[Pair]
) -> str:
    content = {
        "format": _FORMAT,
        "easytune": __version__,
        "comparison": _COMPARISON.dump_python(comparison, mode="json"),
        "scores": [dict(column) for column in scores],
        "votes": [asdict(pair) for pair in pairs],
        "metrics": {name: metric.signature for name, metric in METRICS.items()},
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for entry in comparison.entries:
        for column, answer in zip(comparison.columns, entry.answers, strict=True):
            yield _row(entry, column, answer)


def _row(entry: Entry, column: Column, answer: StoredAnswer | None) -> dict[str, Any]:
    said = answer or StoredAnswer("")
    return (
        {
            "prompt_number": entry.position + 1,
            "prompt": entry.prompt,
            "reference": entry.reference,
            "column": column.label,
            "answer": said.text,
            "thinking": said.thinking,
            "ended": said.reason,
            "error": said.code,
        }
        | {name: said.scores.get(name) for name in METRICS if entry.reference}
        | {name: value for name, value in said.details.items() if name != "reason"}
        | {
            "seed": said.seed if answer else None,
            "model": column.model,
            "base": column.base or column.base_model,
            "version": column.version,
            "system": column.system,
        }
        | column.sampling.model_dump(mode="json", exclude={"seed"})
        | {f"{name}_asked": value for name, value in column.loading.model_dump().items()}
    )
