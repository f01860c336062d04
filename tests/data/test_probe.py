"""What forgetting is measured on: the bundled probe, and probes of the user's own."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from easytune import demo
from easytune.config import DataSection
from easytune.data import probe, tokenizer
from easytune.data.probe import ProbeRow
from easytune.data.tokenizer import ModelTokenizer
from easytune.demo.questions import split_questions
from easytune.errors import EasyTuneError, FileMissing, FormatUnknown, ProbeUnusable
from easytune.i18n import languages, t
from tests.data.models import model_folder

TEXT = {"text": "The capital of France is Paris.", "category": "towns"}
CHAT = {"prompt": "What is the capital of France?", "response": "Paris.", "id": 7}


@pytest.fixture(scope="module")
def chatml(tmp_path_factory: pytest.TempPathFactory) -> ModelTokenizer:
    return tokenizer.load(model_folder(tmp_path_factory.mktemp("chatml"), adds_bos=True))


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def load(name: str, model: ModelTokenizer, **options: Any) -> list[ProbeRow]:
    return probe.load(name, model, DataSection.model_validate(options)).rows


def scored_text(row: ProbeRow, model: ModelTokenizer) -> str:
    return model.backend.decode(row.input_ids[row.scored].tolist(), skip_special_tokens=False)


def test_the_bundled_probe_has_every_category_in_both_languages_from_the_start() -> None:
    rows = load(probe.BUNDLED, tokenizer.load(demo.MODEL))

    assert len(rows) == len({row.id for row in rows}) == 64
    categories = Counter(row.category for row in rows)
    assert len(categories) == 9
    assert min(categories.values()) >= 6
    assert {row.category for row in rows[:18]} == set(categories)
    for row in rows:
        assert len(row.input_ids) == len(row.scored) <= 128
        assert row.scored.any()
        assert not row.scored[0]


def test_a_text_counts_but_for_its_first_token_and_a_conversation_by_its_answer(
    tmp_path: Path, chatml: ModelTokenizer
) -> None:
    text, chat = load(write(tmp_path / "own.jsonl", [TEXT, CHAT]), chatml)

    assert (text.id, text.category) == ("own.jsonl:1", "towns")
    assert text.scored.tolist() == [False] + [True] * (len(text.input_ids) - 1)
    assert scored_text(text, chatml) == TEXT["text"]
    assert (chat.id, chat.category) == ("7", "own")
    assert scored_text(chat, chatml).strip() == "Paris.<|im_end|>"


def test_what_a_run_learns_from_does_not_change_its_probe(
    tmp_path: Path, chatml: ModelTokenizer
) -> None:
    own = write(tmp_path / "own.jsonl", [TEXT, CHAT])
    usual = probe.fingerprint(load(own, chatml))

    for options in ({"stage": "pretrain"}, {"train_on": "all"}, {"max_length": 16}):
        assert probe.fingerprint(load(own, chatml, **options)) == usual
    changed = write(tmp_path / "own.jsonl", [TEXT, CHAT | {"response": "Paris, I think."}])
    assert probe.fingerprint(load(changed, chatml)) != usual


def test_long_rows_are_cut_and_rows_of_the_same_name_are_told_apart(
    tmp_path: Path, chatml: ModelTokenizer
) -> None:
    long = {"text": "Hello there. " * 400, "id": "a"}
    rows = load(write(tmp_path / "own.jsonl", [long, long | {"text": "你好。"}]), chatml)

    assert [row.id for row in rows] == ["a", "own.jsonl:2"]
    assert len(rows[0].input_ids) == 128


def test_rows_that_cannot_be_measured_are_named(tmp_path: Path, chatml: ModelTokenizer) -> None:
    long = {"prompt": "Hello " * 900, "response": "Hi"}
    found = probe.load(write(tmp_path / "own.jsonl", [TEXT, long, {}]), chatml, DataSection())

    assert len(found.rows) == 1
    assert [problem.number for problem in found.problems] == [3, 2]


def test_of_a_dataset_that_keeps_rows_back_those_are_the_probe(chatml: ModelTokenizer) -> None:
    assert len(load("demo/style", chatml)) == 60


def test_a_probe_of_many_rows_is_drawn_the_same_each_time(
    tmp_path: Path, chatml: ModelTokenizer
) -> None:
    own = write(tmp_path / "own.jsonl", [{"text": f"Number {n} of many."} for n in range(700)])
    rows = load(own, chatml)

    assert len(rows) == probe.MOST
    assert probe.fingerprint(load(own, chatml)) == probe.fingerprint(rows)


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([], ProbeUnusable),
        ([{"text": " "}, {"prompt": "Hello", "response": ""}], ProbeUnusable),
        ([{"prompt": "Hello " * 900, "response": "Hi"}], ProbeUnusable),
        ([{"colour": "red"}], FormatUnknown),
        (None, FileMissing),
    ],
)
def test_a_probe_of_no_use_is_refused_with_what_to_do(
    tmp_path: Path, chatml: ModelTokenizer, rows: list[Any] | None, error: type[EasyTuneError]
) -> None:
    path = tmp_path / "own.jsonl"
    with pytest.raises(error) as refused:
        load(write(path, rows) if rows is not None else str(path), chatml)
    for lang in languages():
        sentence = t(f"error.{refused.value.code()}", lang, **refused.value.values)
        assert not re.search(r"[{@]", sentence)


def test_no_text_of_the_probe_is_in_any_bundled_training_rows() -> None:
    files = [demo.GENERAL["replay"], *(file for d in demo.DATASETS.values() for file in
             (d.train, d.held_out))]  # fmt: skip
    learned = {text for file in files for text in _prompts(file)}
    phrases = {phrase for file in files for phrase in _phrases(file)}

    asked = set(_prompts(demo.GENERAL["probe"]))
    assert len(asked) > 60
    assert asked & learned == set()
    assert phrases & set(_phrases(demo.GENERAL["probe"])) == set()


def test_the_basic_questions_of_the_probe_have_the_answers_that_the_demo_model_learned() -> None:
    known = {question.prompt: question.answer for question in split_questions()[0]}
    rows = [row["messages"] for row in _read(demo.GENERAL["probe"]) if row["category"] == "basics"]

    asked = [turn["content"] for turns in rows for turn in turns[::2]]
    assert len(asked) >= 50
    answered = [turn["content"] for turns in rows for turn in turns[1::2]]
    assert [known[question] for question in asked] == answered


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _texts(row: dict[str, Any]) -> list[str]:
    turns = row.get("messages") or row.get("conversations") or []
    texts = [turn.get("content", turn.get("value")) for turn in turns]
    return texts or [row.get("text") or f"{row['instruction']} {row['output']}"]


def _prompts(path: Path) -> list[str]:
    return [text for row in _read(path) for text in _texts(row)[::2] if "text" not in row]


def _phrases(path: Path) -> list[tuple[str, ...]]:
    """Return ten words or characters in a row; short basic answers share their facts."""
    found = []
    for row in _read(path):
        words = re.findall(r"[\u4e00-\u9fff]|\w+", " ".join(_texts(row)).lower())
        if row.get("category") != "basics":
            found += [tuple(words[place : place + 10]) for place in range(len(words) - 9)]
    return found
