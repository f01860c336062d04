"""What a version is made of: facts of each row and the figures over all of them."""

from pathlib import Path
from typing import Any

import pytest

from easytune import demo
from easytune.config import DataSection
from easytune.data import formats, tokenizer
from easytune.data.encoding import Encoder
from easytune.data.formats import Layout
from easytune.data.insight import facts
from easytune.data.insight.language import language_of
from easytune.data.insight.row_facts import row_of
from easytune.data.insight.statistics import Statistics, statistics
from easytune.data.progress import Unit
from easytune.data.stored import row_text
from easytune.data.versions.edits import Drop, Insert
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Imported
from easytune.data.versions.rows import Rows
from easytune.dataset_errors import TaskCancelled
from tests.data.insight_rows import ALPACA, alpaca, batch, dataset

ROWS: list[Any] = [
    alpaca("Tell me about the sea and the tides.", "The sea is deep and it is salty."),
    alpaca("Tell me about the moon and its light.", "It shines at night for all of us."),
    alpaca("Tell me about the sea and the tides.", "The sea is deep and it is salty."),
    alpaca("请介绍一下北京的历史和文化。", "北京是中国的首都。"),
    alpaca("Wie heißt die Hauptstadt von Deutschland, und wo liegt sie?", "Berlin, im Osten."),
    alpaca("Is the earth round? Tell me with one word.", "Yes"),
    alpaca("What is this?", ""),
    '{"instruction": "cut off',
]
PROBLEMS = {6: ("empty", {"field": "output"}), 7: ("not_json", {})}
CONVERSATION = {
    "messages": [
        {"role": "system", "content": "Be short and to the point."},
        {"role": "user", "content": "Tell me about the sun."},
        {"role": "assistant", "content": "It is a star, the nearest of all."},
        {"role": "user", "content": "How far away is it?"},
        {"role": "assistant", "content": "150 million kilometres from here."},
        {"role": "user", "content": "Thank you for that."},
    ]
}


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    return dataset(
        tmp_path,
        "mixed",
        batch(ROWS, problems=PROBLEMS, held_out=[1]),
        batch([CONVERSATION], source="talks.jsonl"),
        layouts={"rows.jsonl": ALPACA, "talks.jsonl": Layout("messages")},
    )


def test_statistics_tell_what_a_reader_of_the_rows_would_count(rows: Rows) -> None:
    found = statistics(rows)
    assert (found.rows, found.usable, found.held_out) == (9, 7, 1)
    assert found.problems == {"empty": 1, "not_json": 1}
    assert found.turns == {2: 6, 4: 1}
    assert found.roles == {"user": 7, "assistant": 7, "system": 1}
    assert found.languages == {"en": 5, "zh": 1, "de": 1}
    assert found.repairs == {"trailing_turns": 1}
    assert found.duplicates.positions == [2]
    assert found.empty_answers.positions == [6]
    assert found.short_answers.positions == [5]
    assert [(o.text, o.rows) for o in found.openings] == [("tell me about", 4)]
    assert found.characters
    kept = [turn["content"] for turn in CONVERSATION["messages"][:-1]]
    shortest = len(ROWS[3]["instruction"] + ROWS[3]["output"])
    assert (found.characters.least, found.characters.most) == (shortest, len("".join(kept)))
    assert sum(each.rows for each in found.character_bins) == 7
    assert Statistics.model_validate_json(found.model_dump_json()) == found


def test_only_rows_that_are_new_are_looked_at_again(rows: Rows, tmp_path: Path) -> None:
    facts.ensure(rows)
    seen = {name: rows.facts_path(name).stat().st_mtime_ns for name in rows.segments}
    library = Library(tmp_path)
    library.edit(rows.facts.dataset, [Drop(0), Insert(1, row_text(alpaca("One more?", "Yes")))])
    after = library.open(rows.facts.dataset)
    found = statistics(after)
    assert found.short_answers.positions == [0, 5]
    assert found.duplicates.rows == 0
    written = {name: after.facts_path(name).stat().st_mtime_ns for name in after.segments}
    assert written.items() >= seen.items()
    assert len(written) > len(seen)


def test_another_layout_gives_the_same_rows_other_facts(tmp_path: Path) -> None:
    asked = {"q": "Which is the longest river of all?", "a": "The Nile", "b": "The Amazon, I think"}
    first = dataset(
        tmp_path,
        "mapped",
        batch([asked]),
        layouts={"rows.jsonl": formats.mapped_layout({"prompt": "q", "response": "a"})},
    )
    assert statistics(first).short_answers.rows == 1
    other = {"rows.jsonl": formats.mapped_layout({"prompt": "q", "response": "b"})}
    library = Library(tmp_path)
    with library.draft(dataset=first.facts.dataset, origin=Imported(), layouts=other) as draft:
        draft.keep(0, 1)
        draft.commit()
    assert statistics(library.open(first.facts.dataset)).short_answers.rows == 0


def test_a_cancelled_look_leaves_no_half_facts(tmp_path: Path) -> None:
    def cancel(phase: str, done: int, total: int | None, unit: Unit = "rows") -> None:
        raise TaskCancelled

    rows = dataset(tmp_path, "many", batch([alpaca(f"Question {n}?", "Yes") for n in range(20)]))
    with pytest.raises(TaskCancelled):
        facts.ensure(rows, cancel)
    assert not any(rows.facts_path(name).exists() for name in rows.segments)
    assert not [path for path in tmp_path.rglob("*") if path.parent.name == "facts"]
    assert statistics(rows).rows == 20


def test_token_percentiles_are_those_of_the_rendered_rows(tmp_path: Path) -> None:
    short, long = alpaca("How are you?", "Well"), alpaca("How are you?", "Well, " * 40)
    rows = dataset(tmp_path, "lengths", batch([short, short | {"output": "Good"}, long]))
    found = statistics(rows, model_folder=demo.MODEL)
    assert found.tokens
    options = DataSection()
    encoder = Encoder(tokenizer.load(demo.MODEL), options)
    lengths = []
    for stored in rows.page(0, 3):
        row = row_of(stored.value, ALPACA)
        assert row
        lengths.append(len(encoder.tokens(row).ids))
    assert (found.tokens.least, found.tokens.most) == (min(lengths), max(lengths))
    assert found.tokens_of == 3


def test_near_duplicates_are_found_when_asked_for(tmp_path: Path) -> None:
    words = [f"word{n}" for n in range(60)]
    one, two = " ".join(words), " ".join([*words[:30], "another", *words[31:]])
    values = [
        alpaca("Read this", one),
        alpaca("Do it", "Not at all like it"),
        alpaca("Read this", two),
    ]
    found = statistics(dataset(tmp_path, "near", batch(values)), near_duplicates=True)
    assert found.near_duplicates
    assert (found.near_duplicates.positions, found.duplicates.rows) == ([2], 0)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Give three tips for staying healthy.", "en"),
        ("Quelle est la capitale de la France, et pourquoi ?", "fr"),
        ("¿Cuál es la capital de España y por qué?", "es"),
        ("Столица России — Москва.", "ru"),
        ("北京是中国的首都 (Beijing)", "zh"),
        ("東京は日本の首都です。", "ja"),
        ("서울은 대한민국의 수도입니다.", "ko"),
        ("Please translate this sentence: 你好", "en"),
        ("42 + 1", ""),
    ],
)
def test_the_language_of_a_text_is_told(text: str, language: str) -> None:
    assert language_of(text) == language
