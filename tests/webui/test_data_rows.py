"""Rows as the Data tab draws them, and what becomes of what is typed into them."""

import json
from typing import Any

import pytest

from easytune.data.formats import Layout
from easytune.data.stored import StoredRow
from easytune.data.versions.search import Filter, Found
from easytune.dataset_errors import PatternInvalid, RowUnfit
from easytune.webui import data_looked, data_mapping, data_row, data_table_view
from easytune.webui.data_looked import Looked


def _row(value: Any, position: int = 0, problem: str = "") -> StoredRow:
    return StoredRow(position, json.dumps(value), "rows.jsonl", position + 1, problem)


def _looked(rows: list[StoredRow]) -> Looked:
    def find(wanted: Filter, first: int, count: int) -> Found:
        return Found(len(rows), rows[first : first + count])

    return Looked("demo/mine", len(rows), 0, 0, {"rows.jsonl": Layout()}, find)


def test_a_field_is_mended_and_all_else_stays_as_it_was() -> None:
    row = _row({"id": 12345678901234567890, "turns": [{"role": "user", "content": "Hi"}]})

    text = data_row.apply(row, [{"path": ["turns", 0, "content"], "text": "Hello"}], None)

    assert json.loads(text) == {
        "id": 12345678901234567890, "turns": [{"role": "user", "content": "Hello"}]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "raw"),
    [
        ([{"path": ["turns", 3], "text": "x"}], None),
        ([{"path": [], "text": "x"}], None),
        (None, '{"prompt": "cut o'),
    ],
)
def test_what_cannot_become_a_row_is_refused(changes: Any, raw: str | None) -> None:
    with pytest.raises(RowUnfit):
        data_row.apply(_row({"turns": []}), changes, raw)


def test_a_missing_field_can_be_filled_in() -> None:
    row = StoredRow(0, '{"instruction":"Why?"}', "r.jsonl", 1, "missing", {"field": "output"})
    own = Looked("mine@1", 1, 0, 1, {}, lambda *_: Found(0, []))

    fields = list(data_row._editor(row, own.meaning(row), "en")["fields"])

    assert [field["name"] for field in fields] == ["instruction", "output"]
    filled = data_row.apply(row, [{"path": ["output"], "text": "So."}], None)
    assert json.loads(filled)["output"] == "So."


def test_what_was_searched_is_marked_where_it_is_and_markup_is_text() -> None:
    answer = "word " * 100 + "<b>Needle</b> in the hay"
    looked = _looked([_row({"prompt": "p", "response": answer})])

    html = data_table_view.table(looked, looked.find(Filter(), 0, 25), 0, "needle", {}, "", "en")

    assert "<mark>Needle</mark>" in html
    assert "&lt;b&gt;" in html
    assert "<b>Needle" not in html


def test_an_unsaved_change_is_shown_as_the_row_will_be() -> None:
    looked = _looked([_row({"prompt": "Old question", "response": "a"})])
    edit = {"0": {"text": json.dumps({"prompt": "New question", "response": "a"})}}

    html = data_table_view.table(looked, looked.find(Filter(), 0, 25), 0, "", edit, "", "en")

    assert "New question" in html
    assert "Old question" not in html


@pytest.mark.parametrize(
    ("columns", "guessed"),
    [
        (["Question", "Answer", "Topic"], {"prompt": "Question", "response": "Answer"}),
        (["问题", "答案"], {"prompt": "问题", "response": "答案"}),
        (["body", "author"], {"text": "body"}),
        (["id", "dialog"], {"messages": "dialog"}),
        (["a1", "b2"], {}),
    ],
)
def test_columns_are_guessed_by_their_names(columns: list[str], guessed: dict[str, str]) -> None:
    assert data_mapping.guess(columns) == guessed


def test_the_rows_of_a_demo_can_be_searched_and_filtered() -> None:
    style = data_looked.look_at_demo("style")

    assert style.find(Filter(held_out=True), 0, 5).total == 60
    assert style.find(Filter(text="thursday"), 0, 100).rows[0].position == 1
    assert style.find(Filter(problem="any"), 0, 5).total == 0
    with pytest.raises(PatternInvalid):
        style.find(Filter(text="(", regex=True), 0, 5)
