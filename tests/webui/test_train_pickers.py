"""Files people upload, models on this machine, and the row the preview draws."""

from pathlib import Path

import pytest

from easytune import demo
from easytune.config import DataSection, ModelSection
from easytune.data.preview import Piece
from easytune.data.preview import preview as look
from easytune.errors import FileEmpty, FileUnreadable, ModelIncomplete
from easytune.webui import pickers, preview

ROW = '{"prompt": "a", "response": "b"}\n'


def _file(folder: Path, name: str, content: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd.csv", "passwd.csv"),
        ("..\\windows\\rows.json", "rows.json"),
        (".hidden.jsonl", "hidden.jsonl"),
        ("a;rm -rf $HOME.csv", "a_rm -rf _HOME.csv"),
        ("数据 1.jsonl", "数据 1.jsonl"),
        ("...", "data"),
    ],
)
def test_uploads_get_names_that_stay_in_their_folder(sent: str, kept: str) -> None:
    assert pickers.safe_name(sent) == kept


def test_the_same_file_sent_twice_is_kept_once(home: Path, tmp_path: Path) -> None:
    first = pickers.accept(_file(tmp_path / "a", "rows.jsonl", ROW), home)
    again = pickers.accept(_file(tmp_path / "b", "rows.jsonl", ROW), home)
    other = pickers.accept(_file(tmp_path / "c", "rows.jsonl", ROW * 2), home)

    assert first == again
    assert other.name == "rows-2.jsonl"
    assert first.read_text(encoding="utf-8") == ROW


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [("empty.csv", "", FileEmpty), ("program.exe", "MZ", FileUnreadable)],
)
def test_a_file_without_rows_is_not_kept(
    home: Path, tmp_path: Path, name: str, content: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=rf"'path': '{name}'"):
        pickers.accept(_file(tmp_path, name, content), home)

    assert not pickers.uploads(home).exists()


def test_models_in_the_home_can_be_picked(home: Path) -> None:
    (home / "models" / "mine").mkdir(parents=True)
    (home / "models" / "mine" / "config.json").write_text("{}", encoding="utf-8")
    (home / "models" / "no model").mkdir()

    assert [value for _, value in pickers.models(home)][:2] == ["demo", "mine"]
    with pytest.raises(ModelIncomplete):
        pickers.facts(ModelSection(base_model="mine"), home, "en")


def test_the_facts_of_the_demo_model_are_told(home: Path) -> None:
    assert "2.3 M parameters" in pickers.facts(ModelSection(), home, "en")


def test_markup_in_a_row_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    bad = '{"prompt": "<img src=x onerror=alert(1)>", "response": "<b>x</b>"}\n'
    file = _file(tmp_path, "bad.jsonl", bad * 4 + '{"prompt": "<i>", "response": 5}\n')
    options = DataSection(datasets=(str(file),), max_length=256)

    html = preview.render(look(options, demo.MODEL, 0), 256, "en")

    assert "<img" not in html
    assert "<b>x" not in html
    assert "&lt;b&gt;x&lt;/b&gt;" in html


def test_a_very_long_row_is_cut_in_the_page() -> None:
    pieces = [Piece("word ", "masked")] * 2_000 + [Piece("answer ", "trained")] * 2_000

    html = preview.tokens(pieces, "en")

    assert len(html) < preview.SHOWN_CHARACTERS + 500
    assert "12,000 more characters" in html


def test_the_maximum_length_is_marked_only_where_rows_reach_it() -> None:
    lengths = look(DataSection(), demo.MODEL, 0).lengths

    assert 'class="limit"' in preview.histogram(lengths, 40, "en")
    assert 'class="limit"' not in preview.histogram(lengths, 1024, "en")
