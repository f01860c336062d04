"""What the preview shows of a dataset and of one row."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from easytune.config import DataSection
from easytune.data import tokenizer
from easytune.data.encoding import Encoder
from easytune.data.preview import Preview, histogram, preview
from easytune.data.rows import Message, Row
from easytune.errors import (
    FileMissing,
    ModelIncomplete,
    NothingToTrain,
    TemplateFailed,
    TemplateInvalid,
)
from tests.data.models import model_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("model"))


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def look(folder: Path, path: str, index: int = 0, **options: Any) -> Preview:
    chosen = {"datasets": (path,), "held_out_share": 0} | options
    return preview(DataSection.model_validate(chosen), folder, index)


def texts(shown: Preview, kind: str) -> str:
    return "".join(piece.text for piece in shown.pieces if piece.kind == kind)


GOOD = {"prompt": "你好 👋🏽\n  two", "response": "Paris 👩‍👩‍👧 is\nfine."}


def test_the_pieces_are_the_whole_conversation_with_its_kinds(folder: Path, tmp_path: Path) -> None:
    shown = look(folder, write(tmp_path / "rows.jsonl", [GOOD]))
    whole = "".join(piece.text for piece in shown.pieces)
    assert whole == (
        f"<|im_start|>user\n{GOOD['prompt']}<|im_end|>\n"
        f"<|im_start|>assistant\n{GOOD['response']}<|im_end|>\n"
    )
    assert texts(shown, "trained") == f"{GOOD['response']}<|im_end|>"
    assert texts(shown, "special") == "<|im_start|><|im_end|><|im_start|>"
    assert shown.pieces[-2].control
    assert "\ufffd" not in whole
    assert shown.row_tokens > len(shown.pieces)  # parts of an emoji are shown as one


def test_what_is_cut_off_is_shown_as_truncated(folder: Path, tmp_path: Path) -> None:
    row = {"prompt": "Hello", "response": "thank you " * 20 + "END"}
    shown = look(folder, write(tmp_path / "rows.jsonl", [row]), max_length=16)
    assert shown.truncated == 1
    assert texts(shown, "truncated").endswith("END<|im_end|>\n")
    assert sum(piece.kind != "truncated" for piece in shown.pieces) == 16
    assert "END" not in texts(shown, "trained")
    assert shown.supervised_tokens == sum(piece.kind == "trained" for piece in shown.pieces)


def test_counts_add_up_and_reasons_are_given(folder: Path, tmp_path: Path) -> None:
    rows = [
        {"prompt": "Hello", "response": "fine"},
        {"prompt": "Hello", "response": None},
        {"prompt": "thank you " * 50, "response": "fine"},
        {"prompt": "Hello", "response": "thank you " * 50},
        {"prompt": "Hello there", "response": "fine"},
    ]
    shown = look(folder, write(tmp_path / "rows.jsonl", rows), max_length=32)
    assert (shown.read, shown.used, shown.dropped, shown.truncated) == (5, 3, 2, 1)
    assert shown.reasons == {"null": 1, "truncated_away": 1}
    assert [problem.number for problem in shown.problems] == [2, 3]
    assert sum(bin_.rows for bin_ in shown.lengths) == 3
    assert look(folder, str(tmp_path / "rows.jsonl"), 1, max_length=32).number == 4
    assert look(folder, str(tmp_path / "rows.jsonl"), 99, max_length=32).number == 5


def test_held_out_rows_come_after_the_others(folder: Path, tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}", "response": "fine"} for n in range(10)]
    path = write(tmp_path / "rows.jsonl", rows)
    shown = look(folder, path, 8, held_out_share=0.2)
    assert (shown.used, shown.held_out, shown.row_held_out) == (8, 2, True)


def test_a_changed_file_is_read_anew_and_paging_is_instant(folder: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [{"prompt": "Hello", "response": "fine"}] * 3000)
    assert look(folder, path).used == 3000
    began = time.process_time()
    for index in range(20):
        look(folder, path, index)
    assert time.process_time() - began < 2
    write(tmp_path / "rows.jsonl", [{"prompt": "Hello", "response": "fine"}] * 4)
    os.utime(path, ns=(1, 1))
    assert look(folder, path).used == 4


def test_when_no_row_is_usable_the_counts_still_say_why(folder: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [{"prompt": "thank you " * 50, "response": "fine"}])
    shown = look(folder, path, max_length=16)
    assert (shown.used, shown.pieces, shown.reasons) == (0, [], {"truncated_away": 1})


def test_training_on_nothing_is_refused_with_the_reasons(folder: Path, tmp_path: Path) -> None:
    options = DataSection(max_length=16)
    turns = (Message("user", "thank you " * 50), Message("assistant", "fine"))
    encoded = Encoder(tokenizer.load(folder), options).encode([Row(1, "rows", turns)])
    with pytest.raises(NothingToTrain):
        encoded.require_examples()
    strict = tmp_path / "strict.jinja"
    strict.write_text("{{ raise_exception('never') }}", encoding="utf-8")
    refused = Encoder(tokenizer.load(folder, str(strict)), options).encode([Row(4, "rows", turns)])
    with pytest.raises(TemplateFailed) as failed:
        refused.require_examples()
    assert (failed.value.row, failed.value.reason) == (4, "never")


def test_a_model_folder_that_is_not_whole_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelIncomplete):
        tokenizer.load(tmp_path)
    cut = (folder / "tokenizer.json").read_bytes()[:500]
    (tmp_path / "tokenizer.json").write_bytes(cut)
    with pytest.raises(ModelIncomplete):
        tokenizer.load(tmp_path)
    with pytest.raises(FileMissing):
        tokenizer.load(folder, str(tmp_path / "none.jinja"))
    broken = tmp_path / "broken.jinja"
    broken.write_text("{% for %}", encoding="utf-8")
    with pytest.raises(TemplateInvalid):
        tokenizer.load(folder, str(broken))


def test_named_templates_and_end_tokens_of_the_model_are_found(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, "llama 3")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "chosen"}]
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": named}))
    backend = tokenizer.load(folder).backend
    turn_end = backend.token_to_id("<|eot_id|>")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [turn_end]}))
    loaded = tokenizer.load(folder)
    assert loaded.template.source == "chosen"
    assert loaded.eos_token == "<|end_of_text|>"
    assert loaded.eos_ids == {loaded.eos_id, turn_end}
    assert loaded.token(loaded.pad_id) == "<pad>"
    (folder / "chat_template.jinja").write_text("beside")
    assert tokenizer.load(folder).template.source == "beside"


@pytest.mark.parametrize("lengths", [[1], [1, 2, 3], [7, 200, 1024], list(range(1, 5000))])
def test_a_histogram_has_every_row_in_the_right_bin(lengths: list[int]) -> None:
    bins = histogram(lengths)
    assert len(bins) <= 24
    for bin_ in bins:
        assert bin_.rows == sum(bin_.low <= length <= bin_.high for length in lengths)
    assert sum(bin_.rows for bin_ in bins) == len(lengths)
