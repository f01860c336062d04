import hashlib
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from easytune.data.formats import Layout
from easytune.data.stored import row_id, row_text
from easytune.data.versions.edits import Drop, Insert, Replace
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Edited, Imported, Preprocessed, RolledBack
from easytune.data.versions.search import Filter
from easytune.dataset_errors import (
    DatasetUnknown,
    LastVersion,
    NothingChanged,
    RowUnfit,
    RowUnknown,
    VersionDamaged,
    VersionEmpty,
    VersionUnknown,
)
from tests.data.stored_rows import ALPACA, SOURCE, batch, broken, make, replace_all, texts, value

VALUES = [value(str(number)) for number in range(20)]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def stored_texts(folder: Path) -> list[str]:
    """Return every row that is on disk, from all files of rows together."""
    files = sorted(folder.rglob("rows/*.parquet"))
    return [text for file in files for text in parquet.read_table(file)["text"].to_pylist()]


def test_rows_come_back_in_their_order_with_file_and_number(library: Library) -> None:
    made = make(library, VALUES)
    rows = library.open("house-style")
    assert (made.number, made.rows, made.current) == (1, 20, True)
    assert [row.value for row in rows.page(5, 3)] == VALUES[5:8]
    assert [(row.position, row.source, row.number) for row in rows.page(18, 9)] == [
        (18, SOURCE, 19), (19, SOURCE, 20),
    ]  # fmt: skip
    assert texts(library, "house-style") == [row_text(each) for each in VALUES]
    with pytest.raises(RowUnknown):
        rows.row(20)


def test_unchanged_rows_are_not_stored_twice(library: Library, tmp_path: Path) -> None:
    make(library, VALUES)
    replace_all(library, "house-style", [*VALUES[:10], value("new"), *VALUES[10:], VALUES[0]])
    assert sorted(stored_texts(tmp_path)) == sorted(map(row_text, [*VALUES, value("new")]))
    found = library.open("house-style").page(0, 30)
    assert [row.value for row in found] == [*VALUES[:10], value("new"), *VALUES[10:], VALUES[0]]
    # Rows after the new one are a line further down now, and say so.
    assert [row.number for row in found] == list(range(1, 23))
    assert [row.number for row in library.open("house-style", 1).page(9, 3)] == [10, 11, 12]


def test_the_fingerprint_is_over_ids_in_order_with_their_side(library: Library) -> None:
    make(library, VALUES)
    with library.draft(dataset="house-style", origin=Edited()) as draft:
        draft.keep(10, 10, held_out=True)
        draft.keep(0, 10)
        made = draft.commit()
    rows = library.open("house-style")
    content = b"".join(
        identity + bytes([aside])
        for part in rows.batches(3)
        for identity, aside in zip(part.ids, part.held_out, strict=True)
    )
    assert made.fingerprint == hashlib.sha256(content).hexdigest()
    assert made.held_out == 10
    assert [text for part in rows.batches(4, "held_out") for text in part.texts] == [
        row_text(each) for each in VALUES[10:]
    ]


def test_the_same_rows_again_are_no_version(library: Library) -> None:
    make(library, VALUES)
    with pytest.raises(NothingChanged):
        replace_all(library, "house-style", VALUES)
    with pytest.raises(NothingChanged):
        library.drop_problems("house-style")
    assert [version.number for version in library.versions("house-style")] == [1]
    # The same rows read by another layout are another version.
    other = {SOURCE: Layout("alpaca", {"instruction": "output", "output": "instruction"})}
    with library.draft(dataset="house-style", origin=Imported(), layouts=other) as draft:
        draft.keep(0, 20)
        assert draft.commit().layouts == other


def test_a_row_without_problem_is_not_the_same_row_with_one(library: Library) -> None:
    with library.draft(title="Broken", origin=Imported(), layouts=ALPACA) as draft:
        draft.add(batch(VALUES[:2]))
        draft.add(broken('{"instruction": ', 3))
        draft.add(broken('{"instruction": ', 9))
        rows = batch(VALUES[2:3], first=4)
        rows.problems[0] = "empty", {"field": "output"}
        draft.add(rows)
        assert draft.commit().problems == 3
    fixed = replace_all(library, "broken", VALUES[:3])
    assert (fixed.rows, fixed.problems) == (3, 0)
    before = library.open("broken", 1)
    assert [(row.problem, row.number) for row in before.page(2, 3)] == [
        ("bad_json", 3), ("bad_json", 9), ("empty", 4),
    ]  # fmt: skip
    assert before.row(4).values == {"field": "output"}
    assert before.row(2).value == '{"instruction": '
    dropped = library.drop_problems("broken", 1, author="Ann")
    assert (dropped.rows, dropped.origin, dropped.author) == (2, Edited(dropped=3), "Ann")


def test_rows_are_mended_dropped_and_put_in_by_hand(library: Library) -> None:
    make(library, VALUES[:5])
    edits = [
        Drop(1), Replace(3, row_text(value("mended"))), Insert(0, row_text(value("first"))),
        Insert(5, row_text(value("last"))),
    ]  # fmt: skip
    made = library.edit("house-style", edits, note="By hand")
    wanted = [value("first"), VALUES[0], VALUES[2], value("mended"), VALUES[4], value("last")]
    assert texts(library, "house-style") == [row_text(each) for each in wanted]
    assert made.origin == Edited(replaced=1, dropped=1, added=2)
    assert (made.parent, made.note) == (1, "By hand")
    assert library.open("house-style").row(3).number == 4
    with pytest.raises(RowUnfit, match="bad_json"):
        library.edit("house-style", [Replace(0, "{")])
    with pytest.raises(RowUnfit, match="output"):
        library.edit("house-style", [Replace(0, '{"instruction": "a", "output": 3}')])
    with pytest.raises(RowUnknown):
        library.edit("house-style", [Drop(6)])
    with pytest.raises(VersionEmpty):
        library.edit("house-style", [Drop(place) for place in range(6)])
    assert len(library.versions("house-style")) == 2


def test_a_rollback_is_a_new_version_and_nothing_is_lost(library: Library) -> None:
    first = make(library, VALUES)
    library.edit("house-style", [Drop(0)])
    back = library.rollback("house-style", 1, author="Ann", note="Too early")
    assert (back.number, back.origin) == (3, RolledBack(to=1))
    assert back.fingerprint == first.fingerprint
    assert [(v.number, v.rows) for v in library.versions("house-style")] == [
        (3, 20), (2, 19), (1, 20),
    ]  # fmt: skip


def test_a_deleted_version_leaves_its_fingerprint_and_takes_its_rows(
    library: Library, tmp_path: Path
) -> None:
    make(library, VALUES)
    edited = library.edit("house-style", [Replace(0, row_text(value("only here")))])
    library.switch("house-style", 1)
    assert library.get("house-style").current.number == 1
    library.delete_version("house-style", 2)
    with pytest.raises(VersionUnknown) as raised:
        library.open("house-style", 2)
    assert raised.value.deleted
    assert [stone.fingerprint for stone in library.deleted("house-style")] == [edited.fingerprint]
    assert row_text(value("only here")) not in stored_texts(tmp_path)
    assert texts(library, "house-style") == [row_text(each) for each in VALUES]
    with pytest.raises(LastVersion):
        library.delete_version("house-style", 1)
    # A number is never given twice: runs are traced by it.
    assert library.edit("house-style", [Drop(0)]).number == 3


def test_deleting_the_current_version_makes_the_newest_left_current(library: Library) -> None:
    make(library, VALUES)
    library.edit("house-style", [Drop(0)])
    library.edit("house-style", [Drop(0)])
    library.delete_version("house-style", 3)
    assert library.version("house-style").number == 2
    assert library.version("house-style").rows == 19


def test_notes_tags_and_titles_change_and_rows_do_not(library: Library) -> None:
    made = make(library, VALUES)
    library.tag("house-style", 1, ["good", " good ", ""])
    library.note("house-style", 1, "Reviewed")
    library.rename("house-style", "Our style")
    seen = library.version("house-style")
    assert (seen.tags, seen.note, seen.title) == (("good",), "Reviewed", "Our style")
    assert seen.fingerprint == made.fingerprint


def test_two_datasets_may_have_the_same_title(library: Library) -> None:
    assert [make(library, VALUES[:n]).dataset for n in (1, 2)] == ["house-style", "house-style-2"]
    assert {facts.id for facts in library.list()} == {"house-style", "house-style-2"}
    assert make(library, VALUES, "???").dataset == "dataset"
    library.delete("house-style")
    assert {facts.id for facts in library.list()} == {"house-style-2", "dataset"}
    with pytest.raises(DatasetUnknown):
        library.get("house-style")
    with pytest.raises(DatasetUnknown):
        library.get("../datasets/dataset")


def test_files_of_one_name_but_other_columns_stay_apart(library: Library) -> None:
    make(library, VALUES[:1])
    other = {SOURCE: Layout("alpaca", {"instruction": "q", "output": "a"})}
    origin = Imported(mode="append")
    with library.draft(dataset="house-style", origin=origin, layouts=other) as draft:
        draft.keep_current()
        draft.add(batch([{"q": "Why", "a": "So"}]))
        made = draft.commit()
    assert made.layouts == {SOURCE: ALPACA[SOURCE], f"{SOURCE} (2)": other[SOURCE]}
    assert [row.source for row in library.open("house-style").page(0, 9)] == list(made.layouts)


def test_a_missing_file_of_rows_is_said_not_passed_over(library: Library, tmp_path: Path) -> None:
    make(library, VALUES)
    next(tmp_path.rglob("rows/*.parquet")).unlink()
    with pytest.raises(VersionDamaged):
        library.open("house-style").page(0, 1)


def test_a_shuffled_version_reads_in_its_order(library: Library) -> None:
    make(library, VALUES)
    order = [(7 * place) % 20 for place in range(20)]
    with library.draft(dataset="house-style", origin=Preprocessed()) as draft:
        draft.keep_at(order)
        draft.commit()
    assert texts(library, "house-style") == [row_text(VALUES[place]) for place in order]
    assert library.open("house-style").row(3).number == order[3] + 1


def test_rows_whose_ids_end_in_zeros_are_rows_like_all_others(
    library: Library, tmp_path: Path
) -> None:
    zeros = [value("6408"), value("7954")]
    ids = [row_id(each) for each in zeros]
    # numpy takes zeros from the end of a string.
    assert all(identity.endswith(b"\0\0") for identity in ids)
    make(library, [zeros[0], value("1"), zeros[1]])
    replace_all(library, "house-style", [zeros[1], value("2"), zeros[0], zeros[1]])

    rows = library.open("house-style")
    assert next(rows.batches()).ids == [ids[1], row_id(value("2")), *ids]
    assert rows.ids().tobytes() == b"".join([ids[1], row_id(value("2")), *ids])
    assert len(stored_texts(tmp_path)) == 4
    assert rows.facts.fingerprint == _fingerprint([ids[1], row_id(value("2")), *ids])
    assert rows.find(Filter(duplicates=True), 0, 9).total == 2
    diff = library.diff(("house-style", 1), ("house-style", 2))
    assert (diff.added, diff.removed, diff.changed) == (1, 0, 1)


def _fingerprint(ids: list[bytes]) -> str:
    return hashlib.sha256(b"".join(identity + b"\0" for identity in ids)).hexdigest()
