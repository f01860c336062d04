"""An evaluation that has ended, written as its job would, scored by the real scorer."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from easytune import job, paths, records, scoring
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import (
    Benchmarked,
    EvaluationFolder,
    Figure,
    Forgotten,
    Order,
    Overlap,
    Refusals,
    Result,
    RowAnswer,
    TestRow,
    TestSet,
)
from easytune.events import Answered, Finished, append
from easytune.found_model import FoundModel
from easytune.wire import Turn

EVIL = '<script>document.title="taken"</script><img src=x onerror=document.title="taken">'
ROWS = 60
RIGHT = {0: 20, 1: 35, 2: 50}
"""How many of the rows each model has right: the first ones, but for the row it broke."""
CONFIG = EvaluateConfig().changed(
    candidates__models=("demo", "tone@20", "tone@40"),
    measure__metrics=("exact_match", "chrf", "perplexity"),
    report__name="House style <script>1</script>",
)
CANDIDATES = (
    FoundModel(id="demo", title="Demo", kind="base", folder="/secret/demo", base="demo",
              base_folder="/secret/demo", is_adapter=False, fingerprint="ab12"),
    *(
        FoundModel(id=f"tone@{step}", title=f"tone | {step}", kind="checkpoint",
                  folder=f"/secret/tone/{step}", base="demo", base_folder="/secret/demo",
                  is_adapter=True, fingerprint=f"cd{step}", run="tone", step=step)
        for step in (20, 40)
    ),
)  # fmt: skip


def put(home: Path) -> str:
    """Write the evaluation into a home and return its id."""
    created = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
    order = Order(created=created, config=CONFIG, candidates=CANDIDATES)
    parent = paths.evaluations(home)
    folder = EvaluationFolder(job.create_named(parent, order, "house-style", created))
    folder.out.mkdir(exist_ok=True)
    rows, answers = _rows(), _answers()
    _write_lines(folder.rows, [row.model_dump(mode="json") for row in rows])
    _write_lines(folder.answers, [one.model_dump(mode="json") for one in answers])
    sets = (TestSet(name="dataset:tone@3", title="Tone", fingerprint="f" * 64, rows=ROWS),)
    scores, figures, signatures, findings = scoring.score_all(
        CONFIG, rows, answers, sets, CANDIDATES
    )
    records.write(folder.scores, scores)
    result = Result(
        sets=sets, scores=tuple(figures), signatures=signatures, findings=tuple(findings),
        overlaps=(Overlap(candidate=1, set=0, rows=(3, 4)),), seconds=75, **_parts(),
    )  # fmt: skip
    records.write(folder.result, result.model_dump(mode="json"))
    done = len(answers)
    append(folder.events, Answered(done=done, total=done, candidate=2, batch_size=8))
    append(folder.events, Finished())
    return folder.id


def _parts() -> dict[str, Any]:
    nats = {"kl": 0.4, "agreement": 0.81, "sequences": 24, "tokens": 900}
    return {
        "forgetting": tuple(
            Forgotten(candidate=place, probe="demo/general", score=score, low=score - 0.04,
                      high=score + 0.04, categories={"code": Figure(value=score, rows=8)}, **nats)
            for place, score in ((1, 0.05), (2, 0.62))
        ),
        "safety": (
            Refusals(candidate=0, kind="harmful", refused=38, prompts=40, low=0.83, high=0.99),
            Refusals(candidate=2, kind="harmful", refused=10, prompts=40, low=0.14, high=0.4),
        ),
        "benchmarks": tuple(
            Benchmarked(candidate=place, task="capitals", metric="acc", value=value, stderr=0.05,
                        rows=20)
            for place, value in ((0, 0.55), (2, 0.4))
        ),
    }  # fmt: skip


def _rows() -> list[TestRow]:
    prompts = [f"Question {number}?" for number in range(ROWS)]
    prompts[25], prompts[26] = EVIL, "=1+1"
    return [
        TestRow(set=0, id=f"r{number}", messages=(Turn(role="user", content=prompt),),
                reference=f"The answer is {number}.")
        for number, prompt in enumerate(prompts)
    ]  # fmt: skip


def _answers() -> list[RowAnswer]:
    return [_answer(place, number) for place in RIGHT for number in range(ROWS)]


def _answer(place: int, number: int) -> RowAnswer:
    is_right = number < RIGHT[place] and (place, number) != (2, 7)
    text = f"The answer is {number}." if is_right else f"Nobody knows {number + place}."
    likely = {"nll": 12.0 - 3 * place, "reference_tokens": 8, "correct_tokens": 4 + place}
    return RowAnswer(candidate=place, row=number, text=text, tokens=6, seconds=0.1, **likely)


def _write_lines(path: Path, content: list[dict]) -> None:
    text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in content)
    path.write_text(text, encoding="utf-8")
