import random
from collections import Counter
from pathlib import Path

import pytest

from easytune.data.stored import row_text
from easytune.data.versions.diff import Diff
from easytune.data.versions.edits import Drop, Edit, Insert, Replace
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Edited
from easytune.data.versions.words import words
from tests.data.stored_rows import make, replace_all, texts, value


def sentence(seed: int) -> dict[str, str]:
    """Return a row that is like no other."""
    drawn = random.Random(seed)
    words = [f"{drawn.randrange(16**5):05x}" for _ in range(8)]
    return {"instruction": " ".join(words), "output": f"{words[0]} {seed}"}


ROWS = [sentence(seed) for seed in range(200)]


def counts(diff: Diff) -> dict[str, int]:
    return {kind: getattr(diff, kind) for kind in ("added", "removed", "changed", "moved", "same")}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    made = Library(tmp_path)
    make(made, ROWS)
    return made


def changed(row: dict[str, str]) -> dict[str, str]:
    return row | {"output": "something else"}


def test_a_file_imported_again_is_compared_by_content_not_by_line(library: Library) -> None:
    after = [sentence(900), *ROWS[:50], *ROWS[52:]]
    after[100] = changed(after[100])
    replace_all(library, "house-style", after)
    diff = library.diff(("house-style", 1), ("house-style", 2))
    assert counts(diff) == {"added": 1, "removed": 2, "changed": 1, "moved": 0, "same": 197}
    found = diff.page(None, 0, 10)
    assert [change.kind for change in found] == ["added", "removed", "removed", "changed"]
    assert [
        change.before.value for change in found if change.kind == "removed" and change.before
    ] == (ROWS[50:52])
    mended = diff.page("changed", 0, 10)[0]
    assert mended.before
    assert mended.after
    assert mended.after.value == changed(mended.before.value)
    assert diff.page("changed", 1, 10) == []


def test_moved_rows_and_rows_set_aside_are_told_from_those_that_stayed(library: Library) -> None:
    with library.draft(dataset="house-style", origin=Edited()) as draft:
        draft.keep(0, 10)
        draft.keep(100, 1)
        draft.keep(10, 90)
        draft.keep(101, 9)
        draft.keep(110, 90, held_out=True)
        draft.commit()
    diff = library.diff(("house-style", 1), ("house-style", 2))
    assert counts(diff) == {"added": 0, "removed": 0, "changed": 0, "moved": 91, "same": 109}
    first = diff.page("moved", 0, 1)[0]
    assert (first.before and first.before.position, first.after and first.after.position) == (
        100,
        10,
    )


def test_a_row_that_was_there_twice_and_is_there_once_was_removed_once(library: Library) -> None:
    replace_all(library, "house-style", [ROWS[0], ROWS[0], ROWS[0], ROWS[1]])
    replace_all(library, "house-style", [ROWS[0], ROWS[1], ROWS[1]])
    diff = library.diff(("house-style", 2), ("house-style", 3))
    assert counts(diff) == {"added": 1, "removed": 2, "changed": 0, "moved": 0, "same": 2}


def test_rows_stay_one_another_through_shuffling_and_cleaning(library: Library) -> None:
    edits: list[Edit] = [
        Replace(place, row_text(sentence(1000 + place))) for place in range(0, 200, 5)
    ]
    library.edit("house-style", edits)
    with library.draft(dataset="house-style", origin=Edited()) as draft:
        draft.keep_at(random.Random(3).sample(range(200), 180))
        draft.commit()
    diff = library.diff(("house-style", 1), ("house-style", 3))
    kept = set(texts(library, "house-style"))
    gone = sum(row_text(row) not in kept for row in ROWS) - diff.changed
    assert (diff.removed, diff.added) == (gone, 0)
    assert diff.changed == sum(
        row_text(sentence(1000 + place)) in kept for place in range(0, 200, 5)
    )
    assert all(
        change.before and change.after and change.before.number == change.after.number
        for change in diff.page("changed", 0, 99)
    )


@pytest.mark.parametrize("seed", range(4))
def test_any_edits_are_counted_as_a_multiset_counts_them(library: Library, seed: int) -> None:
    drawn = random.Random(seed)
    places = drawn.sample(range(200), 90)
    edits: list[Edit] = [Drop(place) for place in places[:30]]
    edits += [Replace(place, row_text(changed(ROWS[place]))) for place in places[30:60]]
    edits += [Insert(place, row_text(sentence(2000 + place))) for place in places[60:]]
    library.edit("house-style", edits)
    diff = library.diff(("house-style", 1), ("house-style", 2))
    before, after = (Counter(texts(library, "house-style", number)) for number in (1, 2))
    assert diff.removed + diff.changed == (before - after).total()
    assert diff.added + diff.changed == (after - before).total()
    assert counts(diff) == {"added": 30, "removed": 30, "changed": 30, "moved": 0, "same": 140}
    back = library.diff(("house-style", 2), ("house-style", 1))
    assert (back.added, back.removed, back.changed) == (30, 30, 30)


def test_the_words_that_differ_are_marked_and_both_texts_can_be_read_off() -> None:
    before, after = "The quick brown fox 跳过了懒狗。", "The slow brown fox 跳过了猫。"
    parts = words(before, after)
    assert parts == [
        ("same", "The "), ("removed", "quick"), ("added", "slow"), ("same", " brown fox 跳过了"),
        ("removed", "懒狗"), ("added", "猫"), ("same", "。"),
    ]  # fmt: skip
    assert "".join(text for kind, text in parts if kind != "added") == before
    assert "".join(text for kind, text in parts if kind != "removed") == after
    assert words("same", "same") == [("same", "same")]
    assert words("", "new") == [("added", "new")]


def test_versions_of_two_datasets_can_be_compared(library: Library) -> None:
    make(library, [*ROWS[:100], value("other")], "Other")
    diff = library.diff(("house-style", 1), ("other", 1))
    assert (diff.same, diff.added + diff.changed, diff.removed + diff.changed) == (100, 1, 100)
