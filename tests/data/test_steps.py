"""Pipelines over real versions: which rows come out, what is stored, what is counted."""

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from easytune.data.formats import Layout
from easytune.data.steps import StepCount, minhash, pipeline, preview, run
from easytune.data.steps.alike import similarity
from easytune.data.stored import Batch, StoredRow, row_id, row_text
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Imported, Preprocessed, VersionFacts
from easytune.dataset_errors import DatasetUnknown, KindsMixed, NothingLeft, TaskCancelled

Value = dict[str, Any]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def _row(question: str, answer: str = "It is so.") -> Value:
    return {"instruction": question, "input": "", "output": answer}


def _import(
    library: Library, values: list[Value], title: str = "mine", form: str = "alpaca"
) -> VersionFacts:
    """Make a dataset of rows; one without an answer has a problem, as an import would say."""
    batch = Batch(
        [row_text(value) for value in values],
        [row_id(value) for value in values],
        ["rows.jsonl"] * len(values),
        list(range(1, len(values) + 1)),
    )
    wrong = [place for place, value in enumerate(values) if value.get("output") == ""]
    batch.problems = {place: ("empty", {"field": "output"}) for place in wrong}
    layouts = {"rows.jsonl": Layout(form)}
    with library.draft(title=title, origin=Imported(), layouts=layouts) as draft:
        draft.add(batch)
        return draft.commit()


def _take(
    library: Library, steps: str, into: str = "", seed: int = 42
) -> tuple[list[StoredRow], list[StepCount]]:
    """Take a pipeline over the dataset `mine` and return the rows of the version it made."""
    chosen, rows = pipeline.loads(steps), library.open("mine")
    origin = Preprocessed(steps=tuple(chosen.as_list))
    target: dict[str, Any] = {"title": into} if into else {"dataset": "mine"}
    with library.draft(origin=origin, **target) as draft:
        counts = run(chosen, rows, library, draft, seed=seed)
        made = draft.commit()
    return library.open(made.dataset, made.number).page(0, 100_000), counts


def _questions(rows: list[StoredRow]) -> list[str]:
    return [row.value["instruction"] for row in rows]


def test_rows_that_no_step_changes_are_not_stored_again(library: Library) -> None:
    _import(library, [_row(f"Question {n}") for n in range(100)] + [_row("two  blanks")])

    rows, [count] = _take(library, "- clean")

    first, second = (library.open("mine", number) for number in (1, 2))
    segments, _ = second.locations()
    new = [segment not in first.segments for segment in second.segments]
    assert len(rows) == 101
    assert rows[-1].value["instruction"] == "two blanks"
    assert [place for place, segment in enumerate(segments) if new[segment]] == [100]
    assert count == StepCount("clean", 101, 101, changed=1)


def test_rows_with_a_problem_pass_untouched_at_their_place(library: Library) -> None:
    values = [_row(f"  Question {n} ", "" if n % 5 == 2 else "Yes") for n in range(10)]
    _import(library, values)

    rows, counts = _take(library, "- clean\n- filter: {matching: '[13579]'}\n- shuffle", "other")

    bad = [row for row in rows if row.problem]
    assert [row.value for row in bad] == [values[2], values[7]]
    assert [(row.problem, row.values) for row in bad] == [("empty", {"field": "output"})] * 2
    assert sorted(_questions([row for row in rows if not row.problem])) == [
        "Question 1", "Question 3", "Question 5", "Question 9",
    ]  # fmt: skip
    assert [count.rows_in for count in counts] == [8, 8, 4]
    assert counts[1].details == {"without_match": 4}


def test_a_row_that_a_step_spoils_is_marked(library: Library) -> None:
    _import(library, [_row("Question", "<br>"), _row("Another one", "Fine")])

    rows, _ = _take(library, "- clean: {html: true}")

    assert [row.problem for row in rows] == ["empty", ""]


def test_the_same_pipeline_gives_the_same_rows_in_place_and_as_a_new_dataset(
    library: Library,
) -> None:
    _import(library, [_row(f"Question number  {n}", f"a{n % 7}@b.com") for n in range(300)])
    steps = "- clean\n- sample: {share: 0.5}\n- shuffle\n- personal_data\n- split: {similar: false}"

    here, _ = _take(library, steps)
    library.switch("mine", 1)
    there, _ = _take(library, steps, "other")
    library.switch("mine", 1)
    otherwise, _ = _take(library, steps, "third", seed=1)

    seen = [(row.text, row.held_out, row.number) for row in here]
    assert seen == [(row.text, row.held_out, row.number) for row in there]
    assert seen != [(row.text, row.held_out, row.number) for row in otherwise]
    assert len(here) == 150
    assert sum(row.held_out for row in here) == 15
    assert sorted(_questions(here)) != _questions(here)


def test_only_the_first_of_equal_rows_stays(library: Library) -> None:
    values = [_row("What is it?"), _row("what  is it"), _row("Else"), {**_row("Else"), "id": 7}]
    _import(library, values)

    def left(steps: str) -> list[int]:
        library.switch("mine", 1)
        return [row.number for row in _take(library, steps, "other")[0]]

    assert left("- exact_duplicates: {compare: row}") == [1, 2, 3, 4]
    assert left("- exact_duplicates") == [1, 2, 3]
    assert left("- exact_duplicates: {loosely: true}") == [1, 3]


def _alike(count: int) -> list[str]:
    """Return random texts, each fifth like an earlier one but for up to six words."""
    choose = random.Random(7)
    words = [f"w{n}" for n in range(500)]
    texts: list[str] = []
    for place in range(count):
        text = [choose.choice(words) for _ in range(40)]
        if place % 5 == 4:
            text = choose.choice(texts).split()
            for _ in range(choose.randrange(6)):
                text[choose.randrange(40)] = "other"
        texts.append(" ".join(text))
    return texts


@cache
def _runs(text: str) -> frozenset[tuple[str, ...]]:
    words = text.split()
    return frozenset(tuple(words[n : n + 3]) for n in range(len(words) - 2))


def _jaccard(a: str, b: str) -> float:
    """Compute it anew, by the definition."""
    return len(_runs(a) & _runs(b)) / len(_runs(a) | _runs(b))


def test_near_duplicates_are_those_that_comparing_all_with_all_finds(library: Library) -> None:
    texts = _alike(400)
    # Also those that are the same as one that goes are like the one that stays.
    texts += texts[:100]
    _import(library, [_row(text, "") | {"output": text[:9]} for text in texts])
    kept: list[int] = []
    for place, text in enumerate(texts):
        if not any(_jaccard(texts[other], text) >= 0.7 for other in kept):
            kept.append(place)

    rows, [count] = _take(library, "- near_duplicates: {threshold: 0.7, fields: [instruction]}")

    assert [row.number - 1 for row in rows] == kept
    assert count.dropped == 500 - len(kept) > 130


def test_pairs_across_two_sets_are_found_even_of_repeated_texts() -> None:
    texts = _alike(200)
    first, second = texts[:100], [*texts[100:], texts[3], texts[3]]

    found = minhash.pairs(minhash.signatures(first), minhash.signatures(second), 0.8)

    near = {(a, b) for a, b in found.tolist() if similarity(first[a], second[b]) >= 0.8}
    wanted = {
        (a, b) for a in range(100) for b in range(102) if _jaccard(first[a], second[b]) >= 0.8
    }
    # Texts of the first set that are the same are found by the first of them.
    assert near == {(first.index(first[a]), b) for a, b in wanted}
    assert {(3, 100), (3, 101)} <= near


def test_chinese_near_duplicates_are_found() -> None:
    one, other = (
        "北京是中华人民共和国的首都，位于华北平原。",
        "北京是中华人民共和国的首都，位于华北平原!",
    )

    assert similarity(one, other) == 1
    assert similarity(one, "上海是中国最大的城市，位于长江入海口。") < 0.1
    assert similarity("。。。", "！！！") == 0
    # A word of another script ends where the Chinese goes on.
    first, second = (f"请用Python写一个函数来计算{what}并给出例子" for what in ("阶乘", "平方"))
    assert similarity(first, second) > 0.5


def test_held_out_rows_share_no_text_with_the_others(library: Library) -> None:
    texts = [text for text in _alike(300) for _ in range(2)]
    _import(library, [_row(text, "Yes") for text in texts])

    rows, [count] = _take(library, "- split: {share: 0.2}")

    kept = [row.value["instruction"] for row in rows if row.held_out]
    rest = [row.value["instruction"] for row in rows if not row.held_out]
    assert abs(len(kept) - 120) <= 2
    assert count.details == {"held_out": len(kept)}
    assert not [1 for a in set(kept) for b in set(rest) if _jaccard(a, b) >= 0.85]


def test_rows_of_one_author_stay_on_one_side(library: Library) -> None:
    _import(library, [{**_row(f"Question {n}"), "author": n % 6} for n in range(60)])

    rows, _ = _take(library, "- split: {share: 0.34, column: author, similar: false}")

    aside = {row.value["author"] for row in rows if row.held_out}
    assert len(aside) == 2
    assert not aside & {row.value["author"] for row in rows if not row.held_out}


def test_columns_are_made_renamed_and_dropped_and_the_rows_are_still_understood(
    library: Library,
) -> None:
    values = [{"title": f"T{n}", "body": "B", "reply": "R", "x": 1} for n in range(3)]
    batch = Batch([row_text(v) for v in values], [row_id(v) for v in values], ["a"] * 3, [1, 2, 3])
    mapped = {"instruction": "title", "output": "reply", "input": "", "system": "", "history": ""}
    layouts = {"a": Layout("alpaca", mapped)}
    with library.draft(title="mine", origin=Imported(), layouts=layouts) as draft:
        draft.add(batch)
        draft.commit()

    rows, _ = _take(
        library,
        "- columns: {make: {instruction: '{title}: {body}'}, rename: {reply: output},"
        " keep: [instruction, output]}\n- system_prompt: {text: Be brief}",
    )

    assert rows[1].value == {"instruction": "T1: B", "output": "R", "system": "Be brief"}
    assert [row.problem for row in rows] == ["", "", ""]
    layout = library.version("mine").layouts["a"]
    assert (layout.columns["instruction"], layout.columns["system"]) == ("instruction", "system")


def test_plain_text_that_is_mapped_to_questions_and_answers_is_learned_as_such(
    library: Library,
) -> None:
    _import(library, [{"text": "It is 4.", "topic": "2 + 2"}], form="text")

    rows, _ = _take(library, "- columns: {rename: {topic: prompt, text: completion}}")

    assert [(row.value, row.problem) for row in rows] == [
        ({"completion": "It is 4.", "prompt": "2 + 2"}, ""),
    ]  # fmt: skip
    assert library.version("mine").layouts["rows.jsonl"].format == "prompt_completion"


def test_datasets_are_mixed_by_weight(library: Library) -> None:
    _import(library, [_row(f"mine {n}") for n in range(10)])
    _import(library, [_row(f"other {n}", "" if n == 3 else "x") for n in range(9)], "other")

    rows, [count] = _take(
        library, "- mix: {datasets: [other@1], weights: [2.5], own_weight: 0.5, order: appended}"
    )

    questions = _questions(rows)
    others = [question for question in questions if question.startswith("other")]
    assert len(questions) - len(others) == 5
    assert len(others) == 20
    assert "other 3" not in others
    assert {others.count(f"other {n}") for n in range(9) if n != 3} == {2, 3}
    assert {row.source for row in rows} == {"rows.jsonl", "other@1/rows.jsonl"}
    assert count.details == {"mixed_in": 20}


def test_texts_and_conversations_are_not_mixed(library: Library) -> None:
    _import(library, [_row("mine")])
    _import(library, [{"text": "plain"}], "plain", "text")

    with pytest.raises(KindsMixed) as caught:
        _take(library, "- mix: {datasets: [plain]}")
    assert (caught.value.conversations, caught.value.texts) == ("rows.jsonl", "plain")
    with pytest.raises(DatasetUnknown):
        _take(library, "- mix: {datasets: [nowhere]}")


def test_a_pipeline_that_leaves_nothing_says_which_step_it_was(library: Library) -> None:
    _import(library, [_row("mine"), _row("yours")])

    with pytest.raises(NothingLeft) as caught:
        _take(library, "- clean\n- filter: {min_characters: 999}\n- shuffle")

    assert (caught.value.step, caught.value.rows) == ("filter", 2)
    assert [version.number for version in library.versions("mine")] == [1]


def test_a_cancelled_pipeline_leaves_nothing(library: Library) -> None:
    _import(library, [_row(f"a  {n}") for n in range(2_000)])
    before = sorted(path.name for path in library.folder.rglob("*"))

    def cancelled(phase: str, done: int, total: int | None, unit: str = "rows") -> None:
        if done >= 500:
            raise TaskCancelled

    with (
        pytest.raises(TaskCancelled),
        library.draft(dataset="mine", origin=Preprocessed()) as draft,
    ):
        run(pipeline.loads("- clean"), library.open("mine"), library, draft, cancelled)

    assert sorted(path.name for path in library.folder.rglob("*")) == before


def test_a_preview_shows_what_changes_and_what_goes(library: Library) -> None:
    values = [_row(f"Question {n}") for n in range(3_000)]
    values[1] = _row("write to a@b.com")
    values[5] = values[4]
    values[9] = _row("x", "y")
    _import(library, values)
    steps = pipeline.loads(
        "- personal_data\n- exact_duplicates\n- filter: {min_characters: 5}\n- shuffle"
    )

    shown = preview(steps, library.open("mine"), library)

    assert [(pair.before.position, pair.after, pair.step) for pair in shown.pairs] == [
        (1, _row("write to [EMAIL]"), ""), (5, None, "exact_duplicates"), (9, None, "filter"),
    ]  # fmt: skip
    assert (shown.looked_at, shown.rows) == (2_000, 3_000)
    assert [count.dropped for count in shown.counts] == [0, 1, 1, 0]
    assert [version.number for version in library.versions("mine")] == [1]


def test_a_preview_shows_each_part_of_a_split_row(library: Library) -> None:
    history = {**_row("q2"), "history": [["q1", "a1"]]}
    _import(library, [_row("alone"), history])

    shown = preview(pipeline.loads("- split_turns"), library.open("mine"), library)

    asked = [(pair.before.position, (pair.after or {})["instruction"]) for pair in shown.pairs]
    assert asked == [(1, "q1"), (1, "q2")]
    assert shown.counts[0].rows_out == 3


@pytest.mark.parametrize("name", pipeline.bundled())
def test_every_bundled_pipeline_runs(library: Library, name: str) -> None:
    values = [_row(f"Mail me at m{n}@b.com about  {n}", f"<b>Answer {n}</b>") for n in range(40)]
    _import(library, [*values, values[0]])
    expected: dict[str, Callable[[list[StoredRow]], bool]] = {
        "tidy": lambda rows: len(rows) == 40 and rows[1].value["output"] == "Answer 1",
        "private": lambda rows: "[EMAIL]" in rows[0].text and "@" not in rows[0].text,
        "deduplicate": lambda rows: len(rows) == 40 and sum(row.held_out for row in rows) == 4,
    }

    rows, _ = _take(library, pipeline.bundled()[name].read_text(encoding="utf-8"))

    assert expected[name](rows)
