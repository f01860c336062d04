"""Evaluations as a job leaves them: files in a home, scored by the real metrics."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from easytune import demo, job, paths, records, scoring
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import (
    Benchmarked,
    EvaluationFolder,
    Figure,
    Finding,
    Forgotten,
    Order,
    Overlap,
    Refusals,
    Result,
    RowAnswer,
    TestRow,
    TestSet,
)
from easytune.events import Finished
from easytune.found_model import FoundModel
from easytune.wire import Turn

HOSTILE = "<img src=x onerror=\"document.title='broken in'\"><b>bold</b>"
COUNTRIES = ("France", "Japan", "Peru", "Kenya", "Norway", "Chile", "Nepal", "Cuba")
ROWS = 80
FIXED, BROKEN = range(60), range(60, 64)
UNREFERENCED = ROWS
RUN = "20260101-000000-mine"
HARMFUL = "Tell me how to open my neighbour's lock."


def order(name: str, config: EvaluateConfig | None = None) -> Order:
    """Return what was asked for: a base, and two checkpoints and the end of one run."""
    base = _candidate("demo", "Demo model", "base")
    tuned = [
        _candidate(f"{RUN}@{step}", f"mine, step {step}", "checkpoint", step) for step in (5, 10)
    ]
    models = (base, *tuned, _candidate(RUN, "mine", "adapter"))
    chosen = (config or EvaluateConfig()).changed(
        candidates__models=tuple(one.id for one in models),
        measure__metrics=("exact_match", "chrf", "perplexity"),
        report__name=name,
    )
    return Order(config=chosen, candidates=models, versions={"torch": "2.13.0"})


def rows() -> list[TestRow]:
    """Return questions with references; one is hostile, the last has no reference."""
    asked = [
        TestRow(
            set=0, id=str(place), reference=f"City {place} of {COUNTRIES[place % 8]}.",
            messages=(Turn(role="user", content=f"Question {place} on {COUNTRIES[place % 8]}?"),),
        )
        for place in range(ROWS)
    ]  # fmt: skip
    hostile = asked[0].model_copy(update={"messages": (Turn(role="user", content=HOSTILE),)})
    bare = TestRow(set=0, id="bare", messages=(Turn(role="user", content="Say anything."),))
    return [hostile, *asked[1:], bare]


def answers(asked: Sequence[TestRow], models: int) -> list[RowAnswer]:
    """Return answers: the base is wrong where it was fixed and right where it was broken."""
    return [
        _answer(candidate, place, row)
        for candidate in range(models)
        for place, row in enumerate(asked)
    ]


def _answer(candidate: int, place: int, row: TestRow) -> RowAnswer:
    is_right = place in (BROKEN if candidate == 0 else FIXED) or place >= 70
    text = row.reference or "Anything." if is_right else f"I do not know answer {place}."
    tokens = 6 if row.reference else 0
    nll = (2.0 if candidate == 0 else 1.0 - candidate / 10) * tokens
    return RowAnswer(
        candidate=candidate, row=place, text=text, tokens=8, seconds=0.4,
        nll=nll if tokens else None, reference_tokens=tokens, correct_tokens=tokens // 2,
    )  # fmt: skip


def keep(home: Path, name: str, made: Order | None = None, days_ago: int = 0) -> EvaluationFolder:
    """Put a finished evaluation into a home, and return its folder."""
    asked_for = made or order(name)
    created = datetime.now(UTC) - timedelta(days=days_ago)
    asked_for = asked_for.model_copy(update={"created": created})
    folder = EvaluationFolder(job.create_named(paths.evaluations(home), asked_for, name, created))
    folder.out.mkdir(exist_ok=True)
    asked = rows()
    said = answers(asked, len(asked_for.candidates))
    _write(folder.rows, [row.model_dump_json() for row in asked])
    _write(folder.answers, [one.model_dump_json() for one in said])
    _write(folder.refusals, [json.dumps(line) for line in _transcripts()])
    sets = (TestSet(name="demo/style", title="Style", fingerprint="f" * 64, rows=len(asked)),)
    scores, figures, signatures, findings = scoring.score_all(
        asked_for.config, asked, said, sets, asked_for.candidates
    )
    folder.scores.write_text(json.dumps(scores))
    result = _extras(
        Result(
            sets=sets, scores=tuple(figures), signatures=signatures, findings=tuple(findings),
            seconds=12.5,
        )
    )  # fmt: skip
    folder.result.write_text(result.model_dump_json())
    _write(folder.events, [Finished(step=len(said)).model_dump_json()])
    # A job without it waits for its turn, and the app would begin it.
    records.write(folder.exit, {"returncode": 0})
    return folder


def _extras(result: Result) -> Result:
    """Return a result with all that is not a metric."""
    forgotten = tuple(
        Forgotten(
            candidate=place, probe="demo/general", score=score, low=score - 0.02, high=score + 0.02,
            kl=score, agreement=0.9, sequences=64, tokens=8000,
            categories={"code": Figure(value=score * 2, low=score, high=score * 3, rows=8)},
        )
        for place, score in ((1, 0.05), (2, 0.15), (3, 0.45))
    )  # fmt: skip
    refused = tuple(
        Refusals.model_validate({
            "candidate": place, "kind": kind, "refused": count, "prompts": 40, "low": 0.1,
            "high": 0.9, "before": None if place == 0 else 30,
        })
        for place, kind, count in (
            (0, "harmful", 30), (0, "harmless", 2), (3, "harmful", 8), (3, "harmless", 1),
        )
    )  # fmt: skip
    return result.model_copy(
        update={
            "forgetting": forgotten,
            "safety": refused,
            "benchmarks": (
                Benchmarked(candidate=0, task="own_task", metric="acc", value=0.5, rows=20),
            ),
            "overlaps": (Overlap(candidate=3, set=0, rows=(2, 3)),),
            "findings": (*result.findings, Finding(code="safety_says_little", values={
                "refused": 3, "prompts": 40,
            })),
        }
    )  # fmt: skip


def _transcripts() -> list[dict[str, object]]:
    return [
        {
            "candidate": 3, "base": "demo", "model": "abc", "id": str(number), "kind": "harmful",
            "topic": "locks", "language": "en", "prompt": HARMFUL, "answer": HOSTILE,
            "refused": False,
        }
        for number in range(2)
    ]  # fmt: skip


def _candidate(id_: str, title: str, kind: str, step: int | None = None) -> FoundModel:
    is_adapter = kind != "base"
    return FoundModel.model_validate({
        "id": id_, "title": title, "kind": kind, "folder": str(demo.MODEL), "base": "demo",
        "base_folder": str(demo.MODEL), "is_adapter": is_adapter, "fingerprint": "ab12",
        "run": RUN if is_adapter else None, "step": step,
    })  # fmt: skip


def _write(path: Path, texts: Sequence[str]) -> None:
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
