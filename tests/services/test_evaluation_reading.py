"""What is read of evaluations is kept, and let go of when others are looked at."""

import weakref
from pathlib import Path

import pytest

from easytune.evaluation_files import EvaluationFolder, RowAnswer
from easytune.services import evaluation_reading
from easytune.services.evaluation_reading import Reading


def test_only_the_evaluations_looked_at_last_stay_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [_folder(tmp_path / name) for name in ("first", "second", "third")]
    one = folders[0].answers.stat().st_size
    monkeypatch.setattr(evaluation_reading, "_MOST_BYTES", int(1.5 * one))
    reading = Reading()
    known = [weakref.ref(reading.answers(folder)[0]) for folder in folders]
    assert [answer() is not None for answer in known] == [False, True, True]
    assert reading.answers(folders[1])[0] is known[1]()
    assert reading.answers(folders[0])[0].text == "An answer."


def _folder(path: Path) -> EvaluationFolder:
    folder = EvaluationFolder(path)
    folder.out.mkdir(parents=True)
    answers = (RowAnswer(candidate=0, row=row, text="An answer.") for row in range(20))
    folder.answers.write_text("".join(f"{one.model_dump_json()}\n" for one in answers))
    return folder
