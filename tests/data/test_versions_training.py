import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

from easytune.config import DataSection
from easytune.data import dataset
from easytune.data.files import read
from easytune.data.formats import Layout
from easytune.data.insight import facts
from easytune.data.rows import Message
from easytune.data.versions.edits import Drop
from easytune.data.versions.export import Form
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Edited, Imported
from easytune.data.versions.search import Filter
from easytune.dataset_errors import PatternInvalid, VersionUnknown
from easytune.errors import StageMismatch
from tests.data.stored_rows import ALPACA, SOURCE, batch, broken, make, value

VALUES = [value(str(number)) for number in range(20)]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def load(library: Library, *names: str, **chosen: Any) -> dataset.Dataset:
    options = DataSection.model_validate({"datasets": names, **chosen})
    return dataset.load(options, 42, library.home)


def test_a_run_learns_from_exactly_the_version_it_names(library: Library) -> None:
    make(library, VALUES)
    edited = library.edit("house-style", [Drop(0)])
    assert len(load(library, "dataset:house-style@1", held_out_share=0).train) == 20
    loaded = load(library, "dataset:house-style", held_out_share=0)
    assert [(row.source, row.number) for row in loaded.train] == [(SOURCE, n) for n in range(2, 21)]
    assert loaded.train[0].messages == (Message("user", "Say 1"), Message("assistant", "1 it is"))
    used = loaded.versions[0]
    assert (used.dataset, used.number, used.rows) == ("house-style", 2, 19)
    assert used.fingerprint == edited.fingerprint
    assert loaded.fingerprint == load(library, "dataset:house-style", held_out_share=0).fingerprint
    with pytest.raises(VersionUnknown):
        load(library, "dataset:house-style@3")
    with pytest.raises(StageMismatch):
        load(library, "dataset:house-style", stage="pretrain")


def test_rows_with_problems_and_held_out_rows_are_not_learned_from(library: Library) -> None:
    with library.draft(title="House style", origin=Imported(), layouts=ALPACA) as draft:
        draft.add(batch(VALUES))
        draft.add(broken("{", 21))
        draft.commit()
    with library.draft(dataset="house-style", origin=Edited()) as draft:
        draft.keep(0, 5, held_out=True)
        draft.keep(5, 16)
        draft.commit()
    loaded = load(library, "dataset:house-style", held_out_share=0.5)
    assert [row.number for row in loaded.held_out] == [1, 2, 3, 4, 5]
    assert [row.number for row in loaded.train] == list(range(6, 21))
    assert [(problem.number, problem.code) for problem in loaded.problems] == [(21, "bad_json")]
    none_held_out = load(library, "dataset:house-style", held_out_share=0)
    assert (len(none_held_out.train), none_held_out.held_out) == (15, [])
    measured = load(library, "demo/style", held_out_file="dataset:house-style")
    assert [row.number for row in measured.held_out] == [1, 2, 3, 4, 5]


def test_each_file_of_a_version_is_read_by_its_own_columns(library: Library) -> None:
    layouts = ALPACA | {"b.csv": Layout("alpaca", {"instruction": "q", "output": "a"})}
    with library.draft(title="Mixed", origin=Imported(), layouts=layouts) as draft:
        draft.add(batch(VALUES[:1]))
        draft.add(batch([{"q": "Why", "a": "So"}], source="b.csv"))
        draft.commit()
    rows = load(library, "dataset:mixed", held_out_share=0).train
    assert [row.messages and row.messages[-1].content for row in rows] == ["0 it is", "So"]


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "parquet"])
def test_an_exported_version_reads_back_the_same(
    library: Library, tmp_path: Path, form: Form
) -> None:
    rows = [*VALUES, {"instruction": '引号 " and\nline', "input": "", "output": "好"}]
    make(library, rows)
    path = library.export("house-style", None, tmp_path / f"rows.{form}", form)
    assert [found for _, found in read(path, path.name).rows] == rows
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == [path.name]


def test_turns_stay_turns_in_parquet(library: Library, tmp_path: Path) -> None:
    turns = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    make(library, [turns, turns | {"extra": 3}])
    path = library.export("house-style", 1, tmp_path / "rows.parquet", "parquet")
    assert parquet.read_table(path).to_pylist() == [turns | {"extra": None}, turns | {"extra": 3}]


def test_problem_rows_can_be_taken_out_with_their_reason(library: Library, tmp_path: Path) -> None:
    with library.draft(title="Broken", origin=Imported(), layouts=ALPACA) as draft:
        draft.add(batch(VALUES[:1]))
        draft.add(broken('{"a', 2))
        draft.commit()
    path = library.export("broken", 1, tmp_path / "p.jsonl", "jsonl", problems_only=True)
    wanted = {"source": SOURCE, "number": 2, "problem": "bad_json", "text": '{"a'}
    assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == [wanted]
    table = library.export("broken", 1, tmp_path / "p.csv", "csv", problems_only=True)
    with table.open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.DictReader(file)) == [wanted | {"number": "2"}]


@pytest.mark.parametrize("prepared", [False, True])
def test_rows_are_found_by_text_role_length_language_and_problem(
    library: Library, prepared: bool
) -> None:
    rows = [
        *VALUES,
        {
            "instruction": "Wie heißt du und woher kommst du?",
            "input": "",
            "output": "Ich bin hier.",
        },
        {"instruction": "你好，请问今天的天气怎么样？", "input": "", "output": 'Say "sunny"\nnow'},
    ]
    with library.draft(title="House style", origin=Imported(), layouts=ALPACA) as draft:
        draft.add(batch(rows))
        draft.add(broken("{ hidden input", 30))
        draft.add(batch(VALUES[:1], first=31))
        draft.commit()
    found = library.open("house-style")
    if prepared:
        facts.ensure(found)

    def places(**wanted: Any) -> list[int]:
        return [row.position for row in found.find(Filter(**wanted), 0, 99).rows]

    assert places(text="SAY 1", max_length=12) == [1]
    assert places(text='say "SUNNY"\nnow') == [21]
    # A field of every row is called so; only one row says it.
    assert places(text="input") == [22]
    assert places(text=r"^Say \d$", regex=True) == [*range(10), 23]
    assert places(text="天气") == [21]
    assert places(language="zh") == [21]
    assert places(role="user", min_length=30) == [20]
    assert places(role="tool") == []
    assert places(problem="any") == places(problem="bad_json") == [22]
    assert places(problem="none", text="hidden") == []
    assert places(duplicates=True) == [0, 23]
    page = found.find(Filter(problem="none"), 20, 2)
    assert (page.total, [row.position for row in page.rows]) == (23, [20, 21])
    with pytest.raises(PatternInvalid, match="missing"):
        found.find(Filter(text="(", regex=True), 0, 1)
