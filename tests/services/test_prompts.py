"""Lists of prompts: typed, from files people have, and from datasets with their answers."""

import json
from pathlib import Path

import pytest

from easytune import demo
from easytune.errors import FileMissing
from easytune.i18n import t
from easytune.inference_errors import ImportUnreadable, PromptEmpty
from easytune.services import prompts
from easytune.services.prompts import Prompt
from easytune.wire import Turn


def _asked(question: str, reference: str = "", system: str = "") -> Prompt:
    before = (Turn(role="system", content=system),) if system else ()
    return Prompt((*before, Turn(role="user", content=question)), reference)


def _file(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ("One\nTwo \r\n  三\n", ["One", "Two", "三"]),
        ("One\nmore\n\nTwo\n \n\n三\nand more\n\n", ["One\nmore", "Two", "三\nand more"]),
        ("\n\nOnly one\n\n", ["Only one"]),
    ],
)
def test_typed_prompts_are_lines_or_blocks(text: str, questions: list[str]) -> None:
    assert prompts.read_text(text) == [_asked(question) for question in questions]


@pytest.mark.parametrize("text", ["", " \n\t\n"])
def test_no_prompt_at_all_is_said(text: str) -> None:
    with pytest.raises(PromptEmpty):
        prompts.read_text(text)


MESSAGES = {"messages": [
    {"role": "system", "content": "S"}, {"role": "user", "content": "Q"},
    {"role": "assistant", "content": "A"}, {"role": "user", "content": "And?"},
]}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", "Eins\nZwei", [_asked("Eins"), _asked("Zwei")]),
        ("a.json", '["Eins", "二"]', [_asked("Eins"), _asked("二")]),
        ("a.jsonl", '"Eins"\n{"prompt": "Zwei", "reference": "2"}',
         [_asked("Eins"), _asked("Zwei", "2")]),
        ("a.jsonl", '{"prompt": "P", "completion": "C", "system": "S"}', [_asked("P", "C", "S")]),
        ("a.jsonl", '{"instruction": "Add", "input": "1, 2", "output": "3"}',
         [_asked("Add\n1, 2", "3")]),
        ("a.jsonl", '{"instruction": "Add", "input": "1, 2", "output": ""}',
         [_asked("Add\n1, 2")]),
        ("a.jsonl", '{"question": "Q", "answer": null}', [_asked("Q")]),
        ("a.csv", "question,answer\nQ1,A1\n\"Q,2\",\n", [_asked("Q1", "A1"), _asked("Q,2")]),
        ("a.tsv", "prompt\nQ1\nQ2\n", [_asked("Q1"), _asked("Q2")]),
        ("a.csv", "\ufeffprompt;reference\n问;答\n", [_asked("问", "答")]),
    ],
)  # fmt: skip
def test_files_of_prompts_are_read_as_people_write_them(
    tmp_path: Path, name: str, text: str, expected: list[Prompt]
) -> None:
    assert prompts.read_file(_file(tmp_path, name, text)) == expected


def test_a_conversation_is_asked_up_to_its_last_answer(tmp_path: Path) -> None:
    answered = {"messages": MESSAGES["messages"][:3]}
    rows = "\n".join(json.dumps(row) for row in (MESSAGES, answered))

    unanswered, known = prompts.read_file(_file(tmp_path, "a.jsonl", rows))

    assert [turn.content for turn in unanswered.messages] == ["S", "Q", "A", "And?"]
    assert unanswered.reference == ""
    assert known == _asked("Q", "A", "S")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.jsonl", '"Eins"\n{"prompt": 7}', "line 2: field is not text (prompt)"),
        ("a.jsonl", '"Eins"\n{"colour": "red"}', "line 2: no column for the prompt"),
        ("a.jsonl", '"Eins"\n7', "line 2: not an object"),
        ("a.jsonl", '"Eins"\n{"prompt": "Zw', "line 2: cut off"),
        ("a.jsonl", '{"messages": [{"role": "assistant", "content": "A"}]}', "line 1: no question"),
        ("a.jsonl", '"Eins"\n' + "[" * 100_000, "line 2: nested too deeply"),
        ("a.csv", "prompt,prompt\na,b\n", "it names a column twice: prompt (line 1)"),
        ("a.csv", "colour,size\nred,7\n", "row 1: no column for the prompt"),
        ("a.json", "[]", "it holds no prompts"),
        ("a.txt", "  \n", "it holds no prompts"),
        ("a.docx", "PK", "its ending is not one EasyTune reads"),
    ],
)
def test_a_file_in_the_wrong_form_is_refused_by_row_and_reason(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    with pytest.raises(ImportUnreadable) as caught:
        prompts.read_file(_file(tmp_path, name, text))

    sentence = t("error.import_unreadable", "en", **caught.value.values)
    assert words in sentence
    assert "@" not in sentence


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        prompts.read_file(tmp_path / "nothing.txt")
    for name in ("", "demo/nothing", str(tmp_path / "nothing")):
        with pytest.raises(FileMissing):
            prompts.read_dataset(name, 5)


def test_rows_of_a_demo_are_those_kept_back_from_training() -> None:
    lines = demo.DATASETS["style"].held_out.read_text(encoding="utf-8").splitlines()

    found = prompts.read_dataset("demo/style", 5)

    wanted = [json.loads(line)["messages"] for line in lines]
    questions = {row[-2]["content"]: row[-1]["content"] for row in wanted}
    assert len(found) == 5
    assert all(questions[each.messages[-1].content] == each.reference for each in found)


def test_rows_of_a_file_come_in_its_order_with_their_answers(tmp_path: Path) -> None:
    rows = [{"instruction": f"Q{n}", "output": f"A{n}"} for n in range(30)]
    path = _file(tmp_path, "rows.json", json.dumps(rows))

    found = prompts.read_dataset(str(path), 3)

    assert found == [_asked(f"Q{n}", f"A{n}") for n in range(3)]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("book.txt", "Once upon a time.\n\nThere was.", "it is plain text"),
        ("sizes.csv", "colour,size\nred,7\n", "(colour, size)"),
    ],
)
def test_a_dataset_without_questions_is_refused(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    path = _file(tmp_path, name, text)

    with pytest.raises(ImportUnreadable) as caught:
        prompts.read_dataset(str(path), 3)

    assert words in t("error.import_unreadable", "en", **caught.value.values)
