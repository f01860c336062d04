"""An evaluation of tiny models that is run in this process, and what came of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from easytune import events
from easytune.engine import evaluator
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import EvaluationFolder, Order, Result, RowAnswer, lines
from easytune.events import Event
from easytune.found_model import FoundModel

QUIET = {"measure__forgetting": "off", "loading__precision": "fp32"}


def base(folder: Path) -> FoundModel:
    """A whole model as a candidate."""
    return _candidate(folder, folder, kind="base")


def adapter(folder: Path, of: Path) -> FoundModel:
    """An adapter as a candidate."""
    return _candidate(folder, of, kind="adapter")


def _candidate(folder: Path, of: Path, kind: Any) -> FoundModel:
    return FoundModel(
        id=str(folder),
        title=folder.name,
        kind=kind,
        folder=str(folder),
        base=str(of),
        base_folder=str(of),
        is_adapter=kind == "adapter",
        fingerprint=folder.name,
    )


def questions(path: Path, count: int) -> Path:
    """Write a test set of questions of different lengths."""
    rows = [
        {"instruction": f"colour {i}{' please' * (i % 5)}", "output": f"it is blue{'!' * (i % 3)}"}
        for i in range(count)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def order(
    home: Path,
    candidates: Sequence[FoundModel],
    rows: Path,
    continues: str | None = None,
    **of: Any,
) -> EvaluationFolder:
    """Write an order into a folder of its own."""
    changes = {"sampling__max_new_tokens": 6, "test__datasets": (str(rows),)} | QUIET | of
    config = EvaluateConfig().changed(
        candidates__models=tuple(one.id for one in candidates), **changes
    )
    made = Order(config=config, candidates=tuple(candidates), continues=continues)
    number = len(list(home.glob("evaluations/*"))) + 1
    folder = EvaluationFolder(home / "evaluations" / f"{number}")
    folder.path.mkdir(parents=True)
    folder.job.write_text(yaml.safe_dump(made.model_dump(mode="json")), encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Evaluated:
    """An evaluation that has ended."""

    folder: EvaluationFolder
    code: int

    @property
    def story(self) -> list[Event]:
        """Everything it reported."""
        return events.read(self.folder.events)[0]

    def of(self, kind: type[Event]) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.story if isinstance(event, kind)]

    @property
    def answers(self) -> dict[tuple[int, int], RowAnswer]:
        """By candidate and row; an answer that is there twice is an error."""
        return answers(self.folder)

    @property
    def result(self) -> Result:
        """What came of it."""
        return Result.model_validate_json(self.folder.result.read_text(encoding="utf-8"))

    def question(self, row: int) -> str:
        """What was asked last in a row."""
        line = self.folder.rows.read_text(encoding="utf-8").splitlines()[row]
        return json.loads(line)["messages"][-1]["content"]


def answers(folder: EvaluationFolder) -> dict[tuple[int, int], RowAnswer]:
    """What has been answered so far, by candidate and row."""
    found: dict[tuple[int, int], RowAnswer] = {}
    for line in lines(folder.answers):
        one = RowAnswer.model_validate(line)
        assert (one.candidate, one.row) not in found
        found[one.candidate, one.row] = one
    return found


def written(folder: EvaluationFolder) -> int:
    """How many answers there are, at little cost: for waiting."""
    return folder.answers.read_bytes().count(b"\n") if folder.answers.exists() else 0


def run(folder: EvaluationFolder) -> Evaluated:
    """Run it to its end, here."""
    return Evaluated(folder, evaluator.run(folder.path))
