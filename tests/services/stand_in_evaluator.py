"""Stands in for the evaluator: reads the test rows, and answers without a model.

Run by the real runner, in the job's folder: `stand_in_evaluator.py <seconds per row> [die at]`.
"""

import os
import signal
import sys
import time
from pathlib import Path

from easytune import events, records
from easytune.data import test_sets
from easytune.evaluation_files import (
    EvaluationFolder,
    Figure,
    Forgotten,
    Result,
    RowAnswer,
    Scored,
    lines,
)
from easytune.events import Answered, Finished, Phase, Stopped

FOLDER = EvaluationFolder(Path.cwd())


def main(pause_s: float, die_at: int) -> None:
    order, home = FOLDER.order(), FOLDER.path.parent.parent
    events.append(FOLDER.events, Phase(name="loading_data"))
    sets, rows, findings = test_sets.load(order.config.test.datasets, order.config, home)
    FOLDER.out.mkdir(exist_ok=True)
    records.write_text(FOLDER.rows, "".join(f"{row.model_dump_json()}\n" for row in rows))
    events.append(FOLDER.events, Phase(name="answering"))
    earlier = EvaluationFolder(FOLDER.path.parent / (order.continues or "-"))
    answers = [RowAnswer.model_validate(line) for line in lines(earlier.answers)]
    _append(answers)
    known = {(answer.candidate, answer.row) for answer in answers}
    wanted = [(c, r) for c in range(len(order.candidates)) for r in range(len(rows))]
    for candidate, row in wanted:
        if (candidate, row) in known or FOLDER.stop.exists():
            continue
        time.sleep(pause_s)
        answers.append(RowAnswer(candidate=candidate, row=row, text=f"{candidate} says {row}"))
        _append(answers[-1:])
        report = Answered(done=len(answers), total=len(wanted), candidate=candidate, batch_size=1)
        events.append(FOLDER.events, report)
        if len(answers) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
    scores = {"exact_match": [[float(c)] * len(rows) for c in range(len(order.candidates))]}
    records.write(FOLDER.scores, scores)
    result = Result(
        sets=tuple(sets),
        findings=tuple(findings),
        scores=tuple(
            Scored(
                set=0,
                candidate=c,
                metric="exact_match",
                figure=Figure(value=50.0 + 10 * c, low=45.0 + 10 * c, high=54.0 + 10 * c),
            )
            for c in range(len(order.candidates))
        ),
        signatures={"exact_match": "v1"},
        forgetting=(
            Forgotten(
                candidate=0, probe="demo/probe", score=0.1, low=0.0, high=0.2, kl=0.1,
                agreement=0.9, sequences=8, tokens=99,
            ),
        ),
    )  # fmt: skip
    records.write_text(FOLDER.result, result.model_dump_json())
    ended = Stopped if FOLDER.stop.exists() else Finished
    events.append(FOLDER.events, ended(step=len(answers)))


def _append(answers: list[RowAnswer]) -> None:
    with FOLDER.answers.open("ab", buffering=0) as file:
        file.write("".join(f"{answer.model_dump_json()}\n" for answer in answers).encode())


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 0)
