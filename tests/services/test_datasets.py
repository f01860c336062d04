import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from easytune import records
from easytune.config import TrainConfig
from easytune.data.stored import Reference
from easytune.data.tasks import folder_of
from easytune.data.versions.manifest import Imported
from easytune.dataset_errors import (
    DatasetUnknown,
    KindsMixed,
    NothingToImport,
    VersionInUse,
    VersionUnknown,
)
from easytune.services import datasets as services_datasets
from easytune.services.data_tasks import TaskStory
from easytune.services.datasets import Datasets
from easytune.services.uploads import FOLDER as UPLOADS
from tests.patience import PATIENCE_S, eventually
from tests.services.lab import Lab
from tests.services.made_datasets import answers_of, make_dataset


def _lines(*answers: str) -> str:
    return "".join(json.dumps({"prompt": f"q {a}", "completion": a}) + "\n" for a in answers)


def _ended(datasets: Datasets, task_id: str, state: str = "finished") -> TaskStory:
    story = datasets.tasks.wait(task_id, timeout=PATIENCE_S)
    assert story.state == state, story
    return story


def _big_file(folder: Path) -> Path:
    path = folder / "big.jsonl"
    block = _lines(*(str(number) for number in range(1000)))
    path.write_text(block * 400)
    return path


def _left_overs(home: Path) -> list[Path]:
    found = [*(home / "datasets").rglob("*"), *(home / UPLOADS).rglob("*")]
    return [path for path in found if path.is_file() and path.name != "lock"]


def test_files_become_a_dataset_that_says_where_its_rows_are_from(
    datasets: Datasets, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(_lines("a", "b") + '{"prompt": "no answer"}\n')

    story = _ended(datasets, datasets.import_files([path], "House style", author="ann", note="n"))

    assert story.result
    made = story.result["made"]
    assert made == [
        {"dataset": "house-style", "number": 1, "title": "House style", "rows": 3, "problems": 1}
    ]
    facts = datasets.library.version("house-style")
    assert isinstance(facts.origin, Imported)
    assert [(file.name, file.rows) for file in facts.origin.files] == [("rows.jsonl", 3)]
    assert facts.origin.files[0].bytes == path.stat().st_size
    assert (facts.author, facts.note) == ("ann", "n")
    assert path.exists()


def test_two_people_who_append_at_once_keep_each_others_rows(datasets: Datasets) -> None:
    dataset = make_dataset(datasets, "a")

    first = datasets.import_text(_lines("b"), dataset=dataset, mode="append")
    second = datasets.import_text(_lines("c"), dataset=dataset, mode="append")
    for task in (first, second):
        _ended(datasets, task)

    answers = answers_of(datasets, dataset)
    assert answers[0] == "a"
    assert sorted(answers) == ["a", "b", "c"]
    sources = [row.source for row in datasets.library.open(dataset).page(0, 9)]
    assert len(set(sources)) >= 2


def test_a_replacing_import_keeps_the_earlier_version(datasets: Datasets) -> None:
    dataset = make_dataset(datasets, "a", "b")

    _ended(datasets, datasets.import_text(_lines("c"), dataset=dataset, mode="replace"))

    assert answers_of(datasets, dataset) == ["c"]
    assert answers_of(datasets, dataset, 1) == ["a", "b"]


def test_plain_text_is_not_appended_to_conversations(datasets: Datasets) -> None:
    dataset = make_dataset(datasets, "a")

    task = datasets.import_text("Only words.\n\nAnd more.", dataset=dataset, mode="append")
    story = _ended(datasets, task, "failed")

    assert story.error
    assert story.error.code == KindsMixed.code()
    assert datasets.library.get(dataset).versions == 1


def test_an_import_into_an_unknown_dataset_is_refused_at_once(
    home: Path, datasets: Datasets
) -> None:
    with pytest.raises(DatasetUnknown):
        datasets.import_text(_lines("a"), dataset="nowhere", mode="append")
    with pytest.raises(NothingToImport):
        datasets.import_text("  \n")
    assert datasets.tasks.list() == []
    assert not (home / UPLOADS).exists()


def test_a_killed_import_leaves_nothing(home: Path, datasets: Datasets, tmp_path: Path) -> None:
    task = datasets.import_files([_big_file(tmp_path)], "Big")
    eventually(lambda: datasets.tasks.get(task).done)
    assert list((home / "datasets").glob(".new-*"))

    process = records.read(folder_of(home) / task / "process.json") or {}
    os.kill(process["pid"], signal.SIGKILL)
    story = _ended(datasets, task, "lost")

    assert story.error
    assert story.error.code == "task_lost"
    assert datasets.library.list() == []
    assert _left_overs(home) == []


def test_a_cancelled_import_leaves_nothing(home: Path, datasets: Datasets, tmp_path: Path) -> None:
    [moved] = datasets.adopt([_big_file(tmp_path)])
    task = datasets.import_files([moved], "Big")
    eventually(lambda: datasets.tasks.get(task).done)
    assert list((home / "datasets").glob(".new-*"))

    datasets.tasks.cancel(task)
    _ended(datasets, task, "cancelled")

    assert datasets.library.list() == []
    assert _left_overs(home) == []


def test_an_upload_goes_when_its_import_has_ended(home: Path, datasets: Datasets) -> None:
    _ended(datasets, datasets.import_text(_lines("a")))

    assert list((home / UPLOADS).iterdir()) == []


def test_an_upload_that_cannot_be_read_can_be_tried_again_with_a_mapping(
    home: Path, datasets: Datasets
) -> None:
    text = json.dumps({"ask": "q", "tell": "a"}) + "\n"
    path = datasets.save_text(text)

    _ended(datasets, datasets.import_files([path], "Mapped"), "failed")
    columns = {"prompt": "ask", "response": "tell"}
    _ended(datasets, datasets.import_files([path], "Mapped", columns=columns))

    assert datasets.library.version("mapped").problems == 0
    assert not path.exists()


def test_an_upload_whose_process_died_is_swept(home: Path, datasets: Datasets) -> None:
    code = (
        "import sys; from pathlib import Path; from easytune.services.uploads import Uploads\n"
        "folder = Uploads(Path(sys.argv[1])).new(); (folder / 'half.zip').write_bytes(b'PK')"
    )
    subprocess.run([sys.executable, "-c", code, str(home)], check=True)
    kept = datasets.upload_folder()
    before = list((home / UPLOADS).rglob("half.zip"))

    datasets.sweep()

    assert before
    assert list((home / UPLOADS).rglob("half.zip")) == []
    assert kept.is_dir()


def test_uploaded_files_of_the_same_name_are_kept_apart(datasets: Datasets, tmp_path: Path) -> None:
    files = [tmp_path / folder / "rows.jsonl" for folder in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text(file.parent.name)

    moved = datasets.adopt(files)

    assert [file.read_text() for file in moved] == ["a", "b"]
    assert [file.exists() for file in files] == [False, False]


def test_a_broken_off_upload_can_be_discarded(home: Path, datasets: Datasets) -> None:
    folder = datasets.upload_folder()
    (folder / "half.jsonl").write_text('{"a')
    foreign = home / "mine.jsonl"
    foreign.write_text("x")

    datasets.discard(folder / "half.jsonl")
    datasets.discard(foreign)

    assert not folder.exists()
    assert foreign.exists()


def test_a_run_is_pinned_to_the_version_it_used(lab: Lab, datasets: Datasets) -> None:
    dataset = make_dataset(datasets, "a", "b", "c")
    config = lab.config.changed(data__datasets=(f"dataset:{dataset}",))

    run_id = lab.runs.submit(config)
    _ended(datasets, datasets.import_text(_lines("d"), dataset=dataset, mode="append"))

    assert lab.runs.config(run_id).data.datasets == (f"dataset:{dataset}@1",)
    assert [run.id for run in datasets.used_by(dataset, 1)] == [run_id]
    assert datasets.used_by(dataset, 2) == []
    assert datasets.since(run_id) == [(Reference(dataset, 1), Reference(dataset, 2))]


def test_a_run_with_an_unknown_dataset_is_refused(lab: Lab) -> None:
    with pytest.raises(DatasetUnknown):
        lab.runs.submit(lab.config.changed(data__datasets=("dataset:nowhere",)))


def test_deleting_a_version_that_a_run_used_asks_first(lab: Lab, datasets: Datasets) -> None:
    dataset = make_dataset(datasets, "a", "b")
    run_id = lab.runs.submit(lab.config.changed(data__datasets=(f"dataset:{dataset}",)))
    _ended(datasets, datasets.import_text(_lines("c"), dataset=dataset, mode="replace"))

    with pytest.raises(VersionInUse) as refused:
        datasets.delete_version(dataset, 1)
    with pytest.raises(VersionInUse):
        datasets.delete(dataset)
    datasets.delete_version(dataset, 1, confirmed=True)

    assert len(refused.value.runs) == 1
    with pytest.raises(VersionUnknown) as gone:
        datasets.library.version(dataset, 1)
    assert gone.value.deleted
    assert datasets.since(run_id) == [(Reference(dataset, 1), Reference(dataset, 2))]


def test_statistics_are_kept_until_the_version_goes(home: Path, datasets: Datasets) -> None:
    dataset = make_dataset(datasets, "a", "a", "b")
    unknown = datasets.statistics(f"dataset:{dataset}")

    first = datasets.start_statistics(f"dataset:{dataset}")
    again = datasets.start_statistics(f"dataset:{dataset}@1")
    _ended(datasets, first)
    found = datasets.statistics(f"dataset:{dataset}@1")

    assert unknown is None
    assert again == first
    assert found
    assert (found.rows, found.duplicates.rows) == (3, 1)
    datasets.delete(dataset)
    assert list((home / "data-results").iterdir()) == []


def test_what_filters_ask_for_is_noted_after_an_import(
    datasets: Datasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services_datasets, "_WORTH_NOTING", 1)
    file = tmp_path / "rows.jsonl"
    file.write_text(_lines("eins", "zwei"), "utf-8")
    datasets.start()

    _ended(datasets, datasets.import_files([file], "Rows"))

    eventually(lambda: datasets.library.unnoted_bytes("rows") == 0)
    datasets.close()


def test_a_pipeline_becomes_a_version_or_a_dataset_of_its_own(datasets: Datasets) -> None:
    from easytune.data.steps import pipeline

    dataset = make_dataset(datasets, "a", "a", "b")
    steps = pipeline.of(["exact_duplicates"])

    seen = datasets.preview(f"dataset:{dataset}", steps)
    story = _ended(datasets, datasets.preprocess(f"dataset:{dataset}", steps, note="once"))
    _ended(datasets, datasets.preprocess(f"dataset:{dataset}@1", steps, into="Other"))

    assert story.result
    [count] = story.result["counts"]
    assert (count["rows_in"], count["rows_out"]) == (3, 2)
    assert seen.counts[0].rows_out == 2
    assert answers_of(datasets, dataset) == answers_of(datasets, "other") == ["a", "b"]
    facts = datasets.library.version(dataset)
    assert facts.origin.kind == "pipeline"
    assert facts.note == "once"


def test_a_version_is_exported_to_a_file(datasets: Datasets, tmp_path: Path) -> None:
    dataset = make_dataset(datasets, "a", "b")

    story = _ended(datasets, datasets.export(f"dataset:{dataset}", "jsonl"))
    target = tmp_path / "mine.csv"
    _ended(datasets, datasets.export(f"dataset:{dataset}", "csv", target=target))

    assert story.result
    path = Path(story.result["path"])
    assert path.name == "house-style-v1.jsonl"
    assert path.read_text() == _lines("a", "b").replace('": "', '":"').replace('", "', '","')
    assert target.read_text().splitlines()[1:] == ["q a,a", "q b,b"]
    datasets.tasks.forget(story.id)
    assert not path.exists()
    assert target.exists()


def test_two_datasets_are_searched_for_shared_rows(datasets: Datasets) -> None:
    one, two = make_dataset(datasets, "a", "b"), make_dataset(datasets, "b", "c", title="Exam")

    story = _ended(datasets, datasets.leaks(f"dataset:{one}", f"dataset:{two}"))

    assert story.result
    assert story.result["leaked_exact"] == 1


def test_a_run_is_measured_before_it_starts(datasets: Datasets) -> None:
    dataset = make_dataset(datasets, *(f"answer {n}" for n in range(20)))
    config = TrainConfig().changed(data__datasets=(f"dataset:{dataset}",))

    story = _ended(datasets, datasets.measure(config))

    assert story.result
    assert (story.result["read"], story.result["used"] + story.result["held_out"]) == (20, 20)
    assert story.result["supervised_tokens"] > 0
