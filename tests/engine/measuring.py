"""An evaluation in this process: its rows and answers as a test has them, its models tiny."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from easytune.engine.evaluating.session import Session
from easytune.engine.reporting import Reporter
from easytune.engine.stopping import StopSignal
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import EvaluationFolder, Order, RowAnswer, TestRow
from easytune.found_model import FoundModel
from easytune.wire import Turn


def candidate(folder: Path, base: Path | None = None) -> FoundModel:
    """A whole model, or an adapter on a base."""
    return FoundModel(
        id=str(folder), title=folder.name, kind="adapter" if base else "base", folder=str(folder),
        base=str(base or folder), base_folder=str(base or folder), is_adapter=base is not None,
        fingerprint=folder.name,
    )  # fmt: skip


def session(
    home: Path,
    candidates: Sequence[FoundModel],
    answers: Sequence[Sequence[str]] = (),
    name: str = "one",
    continues: str | None = None,
    **options: Any,
) -> Session:
    """Return an evaluation whose candidates have said `answers` already, row by row."""
    folder = EvaluationFolder(home / "evaluations" / name)
    folder.out.mkdir(parents=True)
    order = Order(
        config=EvaluateConfig().changed(**options), candidates=tuple(candidates),
        continues=continues,
    )  # fmt: skip
    folder.job.write_text(order.model_dump_json(), encoding="utf-8")
    report = Reporter(folder.events)
    report.phase("evaluating")
    made = Session(order, folder, report, StopSignal(folder.stop))
    made.rows = [
        TestRow(set=0, id=str(number), messages=(Turn(role="user", content=f"question {number}"),))
        for number in range(len(answers))
    ]
    folder.rows.write_text("".join(f"{row.model_dump_json()}\n" for row in made.rows))
    made.answers = [
        RowAnswer(candidate=place, row=row, text=text)
        for row, said in enumerate(answers)
        for place, text in enumerate(said)
    ]
    return made
