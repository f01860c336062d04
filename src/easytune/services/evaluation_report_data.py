"""An evaluation for programs: every figure, every answer, or everything there is."""

import json
from collections.abc import Iterator
from typing import Any

from easytune import __version__
from easytune.evaluation_files import Difference, RowAnswer
from easytune.found_model import FoundModel
from easytune.services.evaluation_report_material import Material

FORMAT = "easytune-evaluation-1"
# Where things lie on this machine says nothing to whoever gets the report.
_HERE = {"folder", "base_folder"}


def json_text(material: Material) -> str:
    """Return everything as JSON, but for folders of this machine and the safety transcripts."""
    order = material.order.model_dump(mode="json", exclude={"candidates"})
    content = {
        "format": FORMAT,
        "easytune": __version__,
        "id": material.id,
        "name": material.name,
        "state": material.state,
        "started_at": material.started_at.isoformat() if material.started_at else None,
        "ended_at": material.ended_at.isoformat() if material.ended_at else None,
        "order": order | {"candidates": [shown(one) for one in material.candidates]},
        "result": material.result.model_dump(mode="json"),
        "rows": [row.model_dump(mode="json") for row in material.rows],
        "answers": [one.model_dump(mode="json") for one in material.answers.values()],
        "scores": material.scores,
        "verdicts": [one.model_dump(mode="json") for one in material.verdicts],
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def shown(candidate: FoundModel) -> dict[str, Any]:
    """Return a model without where it lies on this machine."""
    return candidate.model_dump(mode="json", exclude=_HERE)


def figures(material: Material) -> Iterator[dict[str, Any]]:
    """Yield every figure with its interval, and its difference from the first model's."""
    yield from _metrics(material)
    yield from _forgetting(material)
    yield from _safety(material)
    yield from _benchmarks(material)


def rows_of(material: Material) -> Iterator[dict[str, Any]]:
    """Yield every answer with its scores: one line per row and model."""
    for number, row in enumerate(material.rows):
        asked = row.prompt if row.prompt is not None else _conversation(row.messages)
        for place, candidate in enumerate(material.candidates):
            answer = material.answers.get((place, number))
            yield {
                "set": material.result.sets[row.set].name if material.result.sets else row.set,
                "row": number + 1,
                "id": row.id,
                "prompt": asked,
                "reference": row.reference,
                "model": candidate.id,
                **_answered(answer),
                **{m: material.score(m, place, number) for m in material.scores},
            }


def _conversation(messages: Any) -> str:
    turns = [*messages]
    if len(turns) == 1:
        return turns[0].content
    return "\n\n".join(f"[{turn.role}] {turn.content}" for turn in turns)


def _answered(answer: RowAnswer | None) -> dict[str, Any]:
    if answer is None:
        return {"answer": None, "ended": "missing"}
    facts = answer.model_dump(exclude={"candidate", "row", "text", "reason", "code", "values"})
    return {"answer": answer.text, "ended": answer.reason, "error": answer.code} | facts


def _metrics(material: Material) -> Iterator[dict[str, Any]]:
    for scored in material.result.scores:
        yield {
            **_about(material, scored.candidate),
            "kind": "metric",
            "set": material.result.sets[scored.set].name,
            "name": scored.metric,
            "value": scored.figure.value,
            "low": scored.figure.low,
            "high": scored.figure.high,
            "rows": scored.figure.rows,
            **_compared(scored.against_first),
            "computed": material.result.signatures.get(scored.metric, ""),
        }


def _forgetting(material: Material) -> Iterator[dict[str, Any]]:
    for one in material.result.forgetting:
        about = {**_about(material, one.candidate), "kind": "forgetting", "set": one.probe}
        yield about | {
            "name": "cf_score", "value": one.score, "low": one.low, "high": one.high,
            "rows": one.sequences,
        }  # fmt: skip
        yield about | {"name": "kl", "value": one.kl, "rows": one.sequences}
        yield about | {"name": "agreement", "value": one.agreement, "rows": one.sequences}
        for category, figure in one.categories.items():
            yield about | {"name": f"cf_score/{category}"} | figure.model_dump()


def _safety(material: Material) -> Iterator[dict[str, Any]]:
    for one in material.result.safety:
        yield {
            **_about(material, one.candidate), "kind": "safety", "set": one.kind,
            "name": "refusal_rate", "value": one.refused / one.prompts if one.prompts else None,
            "low": one.low, "high": one.high, "rows": one.prompts,
        }  # fmt: skip


def _benchmarks(material: Material) -> Iterator[dict[str, Any]]:
    for one in material.result.benchmarks:
        yield {
            **_about(material, one.candidate), "kind": "benchmark", "set": one.task,
            "name": one.metric, "value": one.value, "stderr": one.stderr, "rows": one.rows,
            **_compared(one.against_first),
        }  # fmt: skip


def _compared(change: Difference | None) -> dict[str, Any]:
    if change is None:
        return {}
    return {
        "difference": change.value, "difference_low": change.low,
        "difference_high": change.high, "p": change.p, "pairs": change.rows,
        "rows_needed": change.needed,
    }  # fmt: skip


def _about(material: Material, place: int) -> dict[str, Any]:
    candidate = material.candidates[place]
    return {"model": candidate.id, "fingerprint": candidate.fingerprint}
