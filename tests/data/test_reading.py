"""Files of every kind, good and bad."""

import json
from pathlib import Path

import duckdb
import pytest

from easytune.data import files
from easytune.errors import FileEmpty, FileMissing, FileUnreadable

ROWS = [
    {"prompt": "你好，今天天气怎么样？", "completion": "今天天气很好，\n谢谢。"},
    {"prompt": "Café — naïve?", "completion": "Yes \u2028 it is 🎉"},
]


def write(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def read(path: Path) -> list[tuple[int, object]]:
    table = files.read(path, path.name)
    assert not table.problems
    return table.rows


def lines(rows: list[dict[str, str]]) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def quoted(rows: list[dict[str, str]], delimiter: str) -> str:
    cells = [[f'"{value}"' for value in row.values()] for row in rows]
    return "\r\n".join(delimiter.join(line) for line in [list(rows[0]), *cells]) + "\r\n"


def parquet(path: Path, rows: list[dict[str, object]]) -> Path:
    source = write(path.with_suffix(".tmp.json"), json.dumps(rows))
    duckdb.sql(f"COPY (FROM read_json('{source}')) TO '{path}' (FORMAT parquet)")
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.json", json.dumps(ROWS, indent=2)),
        ("object.json", json.dumps({"version": 1, "data": ROWS})),
        ("lines.json", lines(ROWS)),
        ("lines.jsonl", lines(ROWS)),
        ("list.jsonl", json.dumps(ROWS, ensure_ascii=False)),
        ("windows.jsonl", lines(ROWS).replace("\n", "\r\n") + "\r\n"),
        ("table.csv", quoted(ROWS, ",")),
        ("semicolons.csv", quoted(ROWS, ";")),
        ("table.tsv", quoted(ROWS, "\t")),
    ],
)
def test_each_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str, content: str) -> None:
    assert read(write(tmp_path / name, content)) == [(1, ROWS[0]), (2, ROWS[1])]


def test_parquet_gives_the_same_rows_nested_ones_too(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    rows: list[dict[str, object]] = [{"messages": turns, "n": 1}, {"messages": turns, "n": None}]
    assert read(parquet(tmp_path / "it's.parquet".replace("'", ""), rows)) == [
        (1, rows[0]),
        (2, rows[1]),
    ]


def test_text_gives_a_row_per_block(tmp_path: Path) -> None:
    content = "\n\nfirst line\nsecond line\r\n\r\n   \n\nthird\n"
    expected = [(1, {"text": "first line\nsecond line"}), (2, {"text": "third"})]
    assert read(write(tmp_path / "book.txt", content)) == expected


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030"]
)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_encodings_are_told_apart(tmp_path: Path, encoding: str, name: str) -> None:
    rows = ROWS[:1] * 3
    content = lines(rows) if name.endswith("jsonl") else quoted(rows, ",")
    found = read(write(tmp_path / name, content, encoding))
    assert [row for _, row in found] == rows


@pytest.mark.parametrize(
    ("encoding", "prompt", "completion"),
    [
        ("cp1252", "Où est le café près de la forêt ?", "Là-bas, derrière l'école."),
        ("cp1252", "Wie heißt die größte Stadt Österreichs?", "Wien, natürlich. Schöne Grüße!"),
        ("cp1251", "Какая столица Франции?", "Париж, конечно."),
        ("big5", "請問今天天氣怎麼樣？", "今天天氣很好，謝謝你的回答。"),
        ("euc_kr", "오늘 날씨가 어때요?", "아주 좋아요. 감사합니다."),
        ("gb18030", "法国的首都是哪里？", "巴黎。"),
    ],
)
def test_older_encodings_are_guessed(
    tmp_path: Path, encoding: str, prompt: str, completion: str
) -> None:
    row = {"prompt": prompt, "completion": completion}
    assert read(write(tmp_path / "rows.jsonl", lines([row] * 5), encoding))[0] == (1, row)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv", "a.parquet", "a.txt"])
@pytest.mark.parametrize("content", [b"", b" \n\n "])
def test_an_empty_file_is_called_empty(tmp_path: Path, name: str, content: bytes) -> None:
    expected = FileUnreadable if name.endswith("parquet") and content else FileEmpty
    with pytest.raises(expected):
        files.read(write(tmp_path / name, content), name)


@pytest.mark.parametrize(("name", "content"), [("a.json", "[]"), ("a.csv", "prompt,response\n")])
def test_a_file_without_rows_is_called_empty(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(FileEmpty):
        files.read(write(tmp_path / name, content), name)


def test_a_file_that_is_not_there_is_called_missing(tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        files.read(tmp_path / "none.jsonl", "none")


@pytest.mark.parametrize(
    ("name", "content", "reason", "line"),
    [
        ("zip.jsonl", b"PK\x03\x04" + bytes(range(256)), "binary", 0),
        ("noise.json", bytes(range(256)) * 40, "binary", 0),
        ("noise.txt", bytes(range(256)) * 40, "binary", 0),
        ("noise.parquet", bytes(range(256)) * 40, "parquet", 0),
        ("cut.parquet", b"PAR1" + bytes(100), "parquet", 0),
        ("cut.json", b'[{"a": 1},\n {"a": 2},\n {"a"', "cut_off", 3),
        ("cut_text.json", b'[{"a": 1},\n {"a": "so', "cut_off", 2),
        ("comma.json", b'[{"a": 1}\n {"a": 2}]', "bad_json", 2),
        ("prose.jsonl", b"Dear all,\nthis is a letter.", "bad_json", 1),
        ("deep.json", b"[" * 200_000, "too_deep", 0),
        ("number.json", b"5", "no_rows", 0),
        ("twice.csv", b"a,a\n1,2\n", "named_twice:", 1),
        ("rows.pdf", b"%PDF", "ending", 0),
        ("rows.xlsx", b"PK", "sheet", 0),
    ],
)
def test_a_file_that_cannot_be_read_says_why_and_where(
    tmp_path: Path, name: str, content: bytes, reason: str, line: int
) -> None:
    with pytest.raises(FileUnreadable) as caught:
        files.read(write(tmp_path / name, content), name)
    assert caught.value.reason.split(" ")[0] == f"@data.unreadable.{reason}"
    assert caught.value.line == line


def test_half_a_jsonl_file_is_used_up_to_the_cut(tmp_path: Path) -> None:
    whole = lines(ROWS * 20).encode()
    table = files.read(write(tmp_path / "cut.jsonl", whole[:-12]), "cut")
    assert len(table.rows) == 39
    assert [(p.number, p.code) for p in table.problems] == [(40, "cut_off")]


def test_a_file_cut_within_a_letter_is_still_utf8(tmp_path: Path) -> None:
    whole = lines(ROWS[:1] * 5).encode()
    cut = whole[: whole.rindex("谢".encode()) + 1]
    table = files.read(write(tmp_path / "cut.jsonl", cut), "cut")
    assert [row for _, row in table.rows] == ROWS[:1] * 4
    assert [(p.number, p.code) for p in table.problems] == [(5, "cut_off")]


def test_bad_lines_are_named_by_their_number_in_the_file(tmp_path: Path) -> None:
    content = '{"a": 1}\n\nnot json\n{"a": 2}\n' + "[" * 200_000 + '\n{"a": 3}\n'
    table = files.read(write(tmp_path / "rows.jsonl", content), "rows")
    assert [number for number, _ in table.rows] == [1, 4, 6]
    assert [(p.number, p.code) for p in table.problems] == [(3, "bad_json"), (5, "too_deep")]


def test_rows_of_a_table_that_do_not_fit_are_named(tmp_path: Path) -> None:
    content = 'prompt,response\na,b\nc,d,e\n"f"x,g\nh\n"i,j\nk,l\n'
    table = files.read(write(tmp_path / "rows.csv", content), "rows")
    assert table.rows == [
        (1, {"prompt": "a", "response": "b"}),
        (4, {"prompt": "h"}),
        (6, {"prompt": "k", "response": "l"}),
    ]
    found = [(p.number, p.code) for p in table.problems]
    assert found == [(2, "too_many_cells"), (3, "bad_quote"), (5, "open_quote")]


def test_a_very_long_cell_is_read(tmp_path: Path) -> None:
    long_text = "word " * 50_000
    rows = read(write(tmp_path / "long.csv", f"prompt,response\nq,{long_text}\n"))
    assert rows == [(1, {"prompt": "q", "response": long_text})]
