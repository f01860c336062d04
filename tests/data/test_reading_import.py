"""Importing files: every kind becomes the same rows, and what is broken stands in its place."""

import gzip
import hashlib
import json
import operator
import random
import zipfile
from pathlib import Path

import duckdb
import orjson
import pytest

from easytune.data import reading
from easytune.data.conversation import Content
from easytune.data.formats import Layout
from easytune.data.progress import silent
from easytune.data.reading import places
from easytune.data.rows import Problem
from easytune.data.stored import parse, row_id, row_text
from easytune.dataset_errors import KindsMixed, NothingToImport, TaskCancelled
from easytune.errors import ColumnMissing, FileEmpty, FileMissing, FileUnreadable, FormatUnknown
from easytune.i18n import languages, t
from tests.data.imported import (
    ROWS,
    as_parquet,
    as_sheet,
    codes,
    joined,
    lines,
    table,
    taken,
    values,
    write,
    zstd,
)


def test_every_kind_of_file_becomes_the_same_rows(tmp_path: Path) -> None:
    cells = [list(ROWS[0]), *[list(row.values()) for row in ROWS]]
    made = {
        "lines.jsonl": lines(ROWS).encode(),
        "list.json": json.dumps(ROWS, indent=1).encode(),
        "object.json": json.dumps({"about": {"x": [1]}, "train": ROWS, "more": [2]}).encode(),
        "table.csv": table(ROWS, ",").encode("gb18030"),
        "table.tsv": table(ROWS, "\t").encode("utf-16"),
        "rows.parquet": as_parquet(ROWS),
        "sheet.xlsx": as_sheet(tmp_path, cells, blank_first=True),
        "lines.jsonl.gz": gzip.compress(lines(ROWS[:3]).encode())
        + gzip.compress(lines(ROWS[3:]).encode()),
        "list.json.zst": zstd(json.dumps(ROWS).encode("utf-16")),
        "rows.parquet.gz": gzip.compress(as_parquet(ROWS)),
    }
    for name, content in made.items():
        found = taken(write(tmp_path / name, content))
        assert values(found) == ROWS, name
        assert found.ids == [row_id(row) for row in ROWS]
        assert found.texts == [row_text(row) for row in ROWS]
        assert found.numbers == [1, 2, 3, 4, 5, 6, 7]
        assert not found.problems
        assert set(found.sources) == {name}


def test_a_folder_and_an_archive_are_one_dataset_of_their_files(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(folder / "deep" / "b.jsonl", lines(ROWS[2:4]))
    write(folder / "a.csv", table(ROWS[:2], ","))
    write(folder / "README.md", "About this dataset.")
    write(folder / "picture.png", b"\x89PNG")
    write(folder / ".hidden.jsonl", "x")
    with zipfile.ZipFile(folder / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/rows.parquet", as_parquet(ROWS[4:6]))
        archive.writestr("__MACOSX/inner/._rows.parquet", b"junk")
    [planned] = reading.plan([folder])
    found = joined(reading.batches(planned, silent))
    assert planned.title == "set"
    assert sorted(values(found), key=str) == sorted(ROWS[:6], key=str)
    assert sorted(set(found.sources)) == [
        "set/a.csv", "set/c.zip/inner/rows.parquet", "set/deep/b.jsonl",
    ]  # fmt: skip
    notices = dict(reading.probe([folder]).notices)
    assert notices["data.files_skipped"]["count"] == 2
    digests = {source.name: source.digest for source in planned.sources}
    assert digests["set/a.csv"] == hashlib.sha256((folder / "a.csv").read_bytes()).hexdigest()
    packed = hashlib.sha256(as_parquet(ROWS[4:6])).hexdigest()
    assert digests["set/c.zip/inner/rows.parquet"] == packed


def test_files_far_larger_than_a_block_come_out_whole_and_in_batches(tmp_path: Path) -> None:
    chance = random.Random(1)
    rows = [
        {
            "prompt": f"{n} " + "今天天气怎么样？" * chance.randrange(50),
            "response": "y" * chance.randrange(1, 900),
        }
        for n in range(10_500)
    ]
    parsed = []
    for path in (
        write(tmp_path / "a.json", json.dumps(rows, ensure_ascii=False)),
        write(tmp_path / "b.jsonl", lines(rows)),
        write(tmp_path / "c.csv", table(rows, ","), "gb18030"),
    ):
        [planned] = reading.plan([path])
        told: list[tuple[int, int | None]] = []

        def tell(phase: str, done: int, total: int | None, unit: str = "rows") -> None:
            told.append((done, total))  # noqa: B023

        batches = list(reading.batches(planned, tell))
        assert len(batches) > 1
        assert max(len(batch) for batch in batches) <= 11_500
        # Not compared at once: pytest would explain a difference for minutes.
        assert all(map(operator.eq, values(joined(batches)), rows))
        assert told == sorted(told)
        assert told[-1] == (path.stat().st_size, path.stat().st_size)
        [source] = planned.sources
        assert (source.rows, source.problems) == (10_500, 0)
        assert source.digest == hashlib.sha256(path.read_bytes()).hexdigest()
        parsed.append(joined(batches).ids)
    assert parsed[0] == parsed[1] == parsed[2]


def test_rows_that_cannot_be_used_stand_in_their_place_with_reason_and_text(tmp_path: Path) -> None:
    broken = [
        lines(ROWS[:1]).strip().encode(),
        b'{"instruction": "no end',
        b'["not", "an object"]',
        b'{"instruction": "Q", "output": 5}',
        b'{"instruction": "Q\xe4\xbd", "output": "bytes"}',
        b'{"instruction": "Q", "output": "\\ud83d"}',
        b"[" * 100_000,
        b"",
        b'{"instruction": "Q", "input": NaN, "output": "A"}',
        b'{"instruction": "Q", "output": "A", "n": 123456789012345678901234567890}',
        b'{"prompt": "of another", "completion": "known format"}',
        b'{"instruction": "Q", "output": "A", "n": %s}' % (b"9" * 10_000),
        b'{"instruction": "cut off", "outp',
    ]
    found = taken(write(tmp_path / "rows.jsonl", b"\n".join([*broken, b""])))
    assert codes(found) == {
        2: "bad_json", 3: "not_row", 4: "not_text", 5: "damaged", 6: "damaged", 7: "too_deep",
        12: "bad_json", 13: "cut_off",
    }  # fmt: skip
    texts = dict(zip(found.numbers, found.texts, strict=True))
    assert texts[2] == '{"instruction": "no end'
    assert parse(texts[5]) == {"instruction": "Q\ufffd\ufffd", "output": "bytes"}
    assert parse(texts[9]) == {"instruction": "Q", "input": None, "output": "A"}
    assert len(found) == 12
    assert len(set(found.ids)) == 12
    for place, (code, facts) in found.problems.items():
        for lang in languages():
            sentence = t(f"data.problem.{code}", lang, **facts, number=place, source="rows.jsonl")
            assert "{" not in sentence


def test_what_is_broken_in_a_list_of_json_costs_the_import_and_names_the_line(
    tmp_path: Path,
) -> None:
    rows = [json.dumps(row) for row in ROWS * 3_000]
    rows[15_000] = '{"instruction": "Q" "output": "A"}'
    path = write(tmp_path / "rows.json", "[\n" + ",\n".join(rows) + "\n]")
    [planned] = reading.plan([path])
    with pytest.raises(FileUnreadable) as caught:
        list(reading.batches(planned, silent))
    assert caught.value.line == 15_002


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("comma.json", '[\n{"text": "A"},\n]', "@data.unreadable.bad_json (@data.line 3)"),
        ("cut.json", '[\n{"text": "A"},\n{"te', "@data.unreadable.cut_off (@data.line 3)"),
        ("number.json", "9" * 10_000, "@data.unreadable.bad_json"),
        ("cells.csv", "a,b\n1,2,3\n", "@data.reason.too_many_cells (@data.row 1)"),
    ],
)
def test_a_file_without_a_row_to_use_says_why(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    with pytest.raises(FileUnreadable) as caught:
        reading.plan([write(tmp_path / name, text)])
    assert caught.value.reason == reason


def test_a_few_damaged_bytes_in_english_are_damage_and_no_other_encoding(tmp_path: Path) -> None:
    rows = [row | {"input": ""} for row in [{"instruction": "Q", "output": "A"}] * 9]
    damaged = lines(rows).encode().replace(b"Q", b"Q\xff\xfe", 1)
    found = taken(write(tmp_path / "rows.jsonl", damaged))
    assert codes(found) == {1: "damaged"}


def test_rows_too_long_or_too_deep_cost_only_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The real limit is 64 MB; what is read at once stays as it is.
    for module in ("lines", "json_text", "tables"):
        monkeypatch.setattr(f"easytune.data.reading.{module}.LONGEST", 3_000_000)
    monkeypatch.setattr("easytune.data.reading.lines.split.__defaults__", (3_000_000,))
    long = {"instruction": "Q", "input": "", "output": '\\"' + "x" * 8_000_000 + "]}"}
    rows = [ROWS[0], long, ROWS[1]]
    for path in (
        write(tmp_path / "a.jsonl", lines(rows)),
        write(tmp_path / "b.json", json.dumps(rows, ensure_ascii=False)),
        write(
            tmp_path / "c.csv",
            table([row | {"output": row["output"].replace('"', "'")} for row in rows], ","),
        ),
    ):
        found = taken(path)
        assert codes(found) == {2: "too_long"}, path
        assert len(found.texts[1]) <= 2_000
        assert [parse(found.texts[place])["instruction"] for place in (0, 2)] == [
            "问题 0?",
            "问题 1?",
        ]
    text = write(tmp_path / "d.txt", "first\n\n" + "x" * 9_000_000 + "\n\nlast\n")
    assert codes(taken(text)) == {2: "too_long"}
    deep = write(
        tmp_path / "e.json",
        f"[{json.dumps(ROWS[0])}, {'[' * 9_000}{']' * 9_000}, {json.dumps(ROWS[1])}]",
    )
    found = taken(deep)
    assert codes(found) == {2: "too_deep"}
    assert parse(found.texts[2]) == ROWS[1]


def test_a_quotation_mark_gone_wrong_costs_one_row_of_a_table(tmp_path: Path) -> None:
    rows = [f"q{n},a{n}" for n in range(1, 2_001)]
    rows[9] = '"q10,a10'
    rows[499] = '"q500"x,a500'
    rows[1_899] = 'q1900,"a1900'
    found = taken(write(tmp_path / "rows.csv", "prompt,response\n" + "\n".join(rows)))
    assert codes(found) == {10: "bad_quote", 500: "bad_quote", 1900: "open_quote"}
    assert found.texts[9] == '"q10,a10'
    assert parse(found.texts[-1]) == {"prompt": "q2000", "response": "a2000"}
    assert len(found) == 2_000


def test_numbers_and_dates_of_a_sheet_are_text_and_later_tables_are_left_alone(
    tmp_path: Path,
) -> None:
    cells = [["prompt", "response"], ["What is 6 × 7?", 42], ["Half?", 0.5], ["", ""], ["Q", "A"]]
    path = write(tmp_path / "rows.xlsx", as_sheet(tmp_path, cells))
    found = taken(path)
    assert [tuple(value.values()) for value in values(found)] == [
        ("What is 6 × 7?", "42"), ("Half?", "0.5"), ("Q", "A"),
    ]  # fmt: skip
    assert found.numbers == [1, 2, 4]


def test_types_that_json_has_not_are_written_as_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    duckdb.sql(
        "COPY (SELECT 'Q' AS prompt, 'A' AS response, 1.50::DECIMAL(9,2) AS price, "
        f"DATE '2026-11-21' AS day, 'raw'::BLOB AS raw, 'nan'::DOUBLE AS odd) TO '{path}'"
    )
    [row] = values(taken(path))
    expected = {"price": "1.50", "day": "2026-11-21", "raw": "raw", "odd": None}
    assert row == {"prompt": "Q", "response": "A"} | expected


def test_a_probe_says_what_is_there_without_reading_it_all(tmp_path: Path) -> None:
    rows = [*ROWS[:2], {"instruction": "Q", "output": None}, *(ROWS * 20_000)]
    path = write(tmp_path / "rows.jsonl", lines(rows))
    probe = reading.probe([path])
    [file] = probe.files
    assert probe.kind == "conversations"
    assert (file.name, file.bytes, file.format) == ("rows.jsonl", path.stat().st_size, "alpaca")
    assert (file.columns, file.encoding) == (("instruction", "input", "output"), "utf-8")
    assert file.examples == (*ROWS[:2], {"instruction": "Q", "output": None})
    assert file.problems_seen == 1
    unknown = write(tmp_path / "odd.csv", "frage,antwort\nQ,A\n")
    [odd] = (mapping := reading.probe([unknown])).files
    assert (mapping.kind, odd.layout, odd.columns) == (None, None, ("frage", "antwort"))


def test_columns_mapped_by_hand_are_used_and_tried_live(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.csv", "frage,antwort\nQ,A\nQ,\n")
    with pytest.raises(FormatUnknown):
        reading.plan([path])
    with pytest.raises(ColumnMissing):
        reading.plan([path], {"prompt": "frage", "response": "answer"})
    columns = {"prompt": "frage", "response": "antwort"}
    [planned] = reading.plan([path], columns, name="My rows")
    assert planned.title == "My rows"
    assert codes(joined(reading.batches(planned, silent))) == {2: "empty"}
    layout = planned.sources[0].layout
    content = reading.example({"frage": "Q", "antwort": "A"}, layout)
    assert isinstance(content, Content)
    assert [(m.role, m.content) for m in content.messages or ()] == [
        ("user", "Q"),
        ("assistant", "A"),
    ]
    assert isinstance(reading.example({"frage": "Q"}, layout), Problem)
    assert isinstance(reading.example("text", Layout("alpaca")), Problem)


def test_a_list_of_datasets_in_an_archive_gives_each_of_them(tmp_path: Path) -> None:
    listing = {
        "first": {"file_name": "rows/one.json", "columns": {"prompt": "q", "response": "a"}},
        "ranked": {"file_name": "two.jsonl", "ranking": True, "formatting": "sharegpt",
                   "columns": {"messages": "talk", "chosen": "good", "rejected": "bad"}},
        "books": {"file_name": "books.txt", "columns": {"prompt": "text"}},
        "far": {"hf_hub_url": "some/where"},
        "gone": {"file_name": "gone.json"},
    }  # fmt: skip
    said = {"from": "gpt", "value": "A"}
    ranked = {"talk": [{"from": "human", "value": "Q"}], "good": said, "bad": said}
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/dataset_info.json", json.dumps(listing))
        archive.writestr("data/rows/one.json", json.dumps([{"q": "Q", "a": "A"}] * 3))
        archive.writestr("data/two.jsonl", lines([ranked] * 2))
        archive.writestr("data/books.txt", "One.\n\nTwo.")
    plans = reading.plan([path])
    assert [planned.title for planned in plans] == ["first", "ranked", "books"]
    taken_rows = [joined(reading.batches(planned, silent)) for planned in plans]
    assert [len(batch) for batch in taken_rows] == [3, 2, 2]
    assert not any(batch.problems for batch in taken_rows)
    entries = {entry.name: entry for entry in reading.probe([path]).entries}
    assert entries["far"].reason == "@data.entry.remote"
    assert entries["gone"].reason == "@data.entry.file_missing"
    assert "columns.prompt" in entries["first"].mapped


def test_what_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.jsonl", lines(ROWS))
    text = write(tmp_path / "book.txt", "One.\n\nTwo.")
    for look in (reading.plan, reading.probe):
        with pytest.raises(KindsMixed):
            look([rows, text])
        with pytest.raises(NothingToImport):
            look([])
        with pytest.raises(FileMissing):
            look([tmp_path / "gone.jsonl"])
        with pytest.raises(FileEmpty):
            look([write(tmp_path / "empty.csv", "")])
    (tmp_path / "none").mkdir()
    with pytest.raises(NothingToImport):
        reading.plan([tmp_path / "none"])


def test_an_import_ends_when_it_is_cancelled_and_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = tmp_path / "temporary"
    unpacked.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(unpacked))
    path = write(tmp_path / "rows.parquet.gz", gzip.compress(as_parquet(ROWS * 3_000)))
    [planned] = reading.plan([path])

    def cancel(phase: str, done: int, total: int | None, unit: str = "rows") -> None:
        assert list(unpacked.iterdir())
        raise TaskCancelled

    with pytest.raises(TaskCancelled):
        list(reading.batches(planned, cancel))
    assert not list(unpacked.iterdir())


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        (json.dumps(ROWS), ".json"),
        (json.dumps(ROWS[0], indent=1), ".json"),
        (lines(ROWS), ".jsonl"),
        (table(ROWS, ","), ".csv"),
        ("prompt;response\nQ, or;A\n", ".csv"),
        ("prompt\tresponse\nQ, or\tA\n", ".tsv"),
        ("Dear all,\n\nthis is, as ever, a letter.", ".txt"),
        ("", ".txt"),
    ],
)
def test_a_pasted_text_is_told_by_its_looks(text: str, ending: str) -> None:
    assert reading.ending_of(text) == ending


def test_names_of_two_files_stay_apart(tmp_path: Path) -> None:
    first = write(tmp_path / "a" / "rows.jsonl", lines(ROWS[:1]))
    second = write(tmp_path / "b" / "rows.jsonl", lines(ROWS[1:2]))
    assert taken(first, second).sources == ["rows.jsonl", "rows.jsonl (2)"]
    assert places.find([first], [".jsonl"]).places[0].title == "rows"
    assert orjson.loads(taken(first).texts[0]) == ROWS[0]
