"""From data options to rows: formats, bad rows, mixing, splitting."""

import json
from pathlib import Path
from typing import Any

import pytest

from easytune.config import DataSection
from easytune.data import dataset
from easytune.data.dataset import Dataset
from easytune.data.rows import Message, Row
from easytune.errors import (
    ColumnMissing,
    DatasetEntryUnusable,
    FileEmpty,
    FileMissing,
    FormatUnknown,
    NothingToTrain,
    StageMismatch,
    TooFewRows,
)
from easytune.i18n import languages, t

ALPACA = {"instruction": "Add.", "input": "1 and 2", "output": "3", "system": "Be short."}
PAIR = {"prompt": "Hello", "response": "Hi"}
SYSTEM, USER, ANSWER = Message("system", "S"), Message("user", "Q"), Message("assistant", "A")


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def pairs(path: Path, count: int, name: str = "") -> str:
    return write(path, [{"prompt": f"{name}{n}", "response": "yes"} for n in range(count)])


def load(*paths: str, seed: int = 42, **options: Any) -> Dataset:
    chosen = {"held_out_share": 0, "datasets": paths} | options
    return dataset.load(DataSection.model_validate(chosen), seed)


def turns(row: Row) -> list[Message]:
    return list(row.messages or ())


def questions(rows: list[Row]) -> list[str]:
    return [turns(row)[0].content for row in rows]


CHAT = [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}]
CHAT_ANSWER = {"role": "assistant", "content": "A"}
SHARE = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [*CHAT, CHAT_ANSWER]},
        {"messages": json.dumps([*CHAT, CHAT_ANSWER])},
        {"messages": [{"role": "developer", "content": "S"}, CHAT[1], CHAT_ANSWER]},
        {
            "messages": [
                CHAT[0],
                {"role": "user", "content": [{"type": "text", "text": "Q"}]},
                CHAT_ANSWER,
            ]
        },
        {"conversations": SHARE, "system": "S"},
        {"conversations": [{"from": "system", "value": "S"}, *SHARE]},
        {"conversations": [*CHAT, CHAT_ANSWER]},
        {"instruction": "Q", "output": "A", "system": "S", "input": None},
        {"instruction": "", "input": "Q", "output": "A", "system": "S", "history": []},
        {"prompt": "Q", "completion": "A", "system": "S"},
        {"prompt": CHAT, "completion": [CHAT_ANSWER]},
        {"question": "Q", "answer": "A", "system": "S"},
    ],
)
def test_each_format_becomes_the_same_conversation(tmp_path: Path, row: dict[str, Any]) -> None:
    loaded = load(write(tmp_path / "rows.jsonl", [row, row]))
    assert not loaded.problems
    assert [turns(found) for found in loaded.train] == [[SYSTEM, USER, ANSWER]] * 2


def test_alpaca_joins_instruction_and_input_and_puts_the_history_before(tmp_path: Path) -> None:
    row = ALPACA | {"history": [["first", "one"], ["second", "two"]]}
    [found] = load(write(tmp_path / "rows.jsonl", [row])).train
    assert turns(found) == [
        Message("system", "Be short."),
        Message("user", "first"),
        Message("assistant", "one"),
        Message("user", "second"),
        Message("assistant", "two"),
        Message("user", "Add.\n1 and 2"),
        Message("assistant", "3"),
    ]


def test_tool_definitions_are_ignored_and_calls_kept_as_text_with_notices(tmp_path: Path) -> None:
    call = {"id": "1", "function": {"name": "sum", "arguments": "{}"}}
    row = {
        "tools": [{"type": "function"}],
        "messages": [
            {"role": "user", "content": "Q"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "3"},
            CHAT_ANSWER,
        ],
    }
    loaded = load(write(tmp_path / "rows.jsonl", [row]))
    called = Message("assistant", '{"name": "sum", "arguments": "{}"}')
    assert turns(loaded.train[0]) == [USER, called, Message("tool", "3"), ANSWER]
    codes = {code: values["rows"] for code, values in loaded.notices}
    assert codes == {"data.tools_ignored": 1, "data.tool_calls_as_text": 1}


def test_a_file_that_is_replayed_as_well_is_told_of_once(tmp_path: Path) -> None:
    row = {
        "tools": [{"type": "function"}],
        "messages": [{"role": "user", "content": "Q"}, CHAT_ANSWER],
    }
    path = write(tmp_path / "rows.jsonl", [row] * 4)
    loaded = load(path, replay=str(path), replay_share=0.5, held_out_share=0)
    assert [code for code, _ in loaded.notices].count("data.tools_ignored") == 1


def test_conversations_are_repaired_where_that_is_sensible(tmp_path: Path) -> None:
    said = ["gpt", "human", "human", "gpt", "human"]
    row = {"conversations": [{"from": who, "value": f"{n}"} for n, who in enumerate(said)]}
    loaded = load(write(tmp_path / "rows.jsonl", [row]))
    assert turns(loaded.train[0]) == [Message("user", "1\n\n2"), Message("assistant", "3")]
    codes = {code for code, _ in loaded.notices}
    assert codes == {"data.leading_turns", "data.trailing_turns", "data.joined_turns"}


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"instruction": "Q"}, "missing", "output"),
        ({"instruction": "Q", "output": None}, "null", "output"),
        ({"instruction": "Q", "output": 5}, "not_text", "output"),
        ({"instruction": "Q", "output": float("nan")}, "not_text", "output"),
        ({"instruction": "Q", "output": ["A"]}, "not_text", "output"),
        ({"instruction": "Q", "output": "  "}, "empty", "output"),
        ({"instruction": "Q", "output": "\ud83d"}, "damaged", "output"),
        ({"instruction": None, "output": "A"}, "null", "instruction"),
        ({"instruction": "Q", "input": 1, "output": "A"}, "not_text", "input"),
        ({"instruction": "Q", "output": "A", "history": [["x"]]}, "not_turn", "history[0]"),
        ("just text", "not_row", None),
        (None, "not_row", None),
    ],
)
def test_a_bad_row_is_named_with_its_field_and_the_rest_is_used(
    tmp_path: Path, row: Any, code: str, field: str | None
) -> None:
    loaded = load(write(tmp_path / "rows.jsonl", [ALPACA, row, ALPACA]))
    assert [found.number for found in loaded.train] == [1, 3]
    [problem] = loaded.problems
    assert (problem.number, problem.code, problem.values.get("field")) == (2, code, field)
    assert problem.source.endswith("rows.jsonl")
    for lang in languages():
        sentence = t(f"data.problem.{code}", lang, **problem.placeholders)
        assert "{" not in sentence
        assert "2" in sentence
        assert not t(f"data.reason.{code}", lang).startswith("data.")


@pytest.mark.parametrize(
    ("conversation", "code", "field"),
    [
        ([CHAT[1]], "no_answer", None),
        ([CHAT_ANSWER], "no_question", None),
        ([], "empty", "messages"),
        ([CHAT[1], {"role": "assistant", "content": None}], "null", "messages[1].content"),
        ([CHAT[1], {"role": "assistant"}], "missing", "messages[1].content"),
        ([{"role": "robot", "content": "x"}], "unknown_role", "messages[0].role"),
        ([CHAT[1], "A"], "not_turn", "messages[1]"),
        ("Q", "not_list", "messages"),
        (None, "null", "messages"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "not_text", "messages[0].content"),
    ],
)
def test_a_bad_conversation_is_named_with_its_turn(
    tmp_path: Path, conversation: Any, code: str, field: str | None
) -> None:
    good = {"messages": [CHAT[1], CHAT_ANSWER]}
    loaded = load(write(tmp_path / "rows.jsonl", [good, {"messages": conversation}]))
    assert len(loaded.train) == 1
    [problem] = loaded.problems
    assert (problem.number, problem.code, problem.values.get("field")) == (2, code, field)


def test_columns_are_mapped_by_hand_and_problems_use_their_names(tmp_path: Path) -> None:
    rows = [{"frage": "Q", "antwort": "A", "wer": "S"}, {"frage": "Q", "antwort": None}]
    columns = {"prompt": "frage", "response": "antwort", "system": "wer"}
    loaded = load(write(tmp_path / "rows.jsonl", rows), columns=columns)
    assert turns(loaded.train[0]) == [SYSTEM, USER, ANSWER]
    assert loaded.problems[0].values["field"] == "antwort"


def test_unknown_columns_ask_for_a_mapping(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [{"frage": "Q", "antwort": "A"}])
    with pytest.raises(FormatUnknown) as unknown:
        load(path)
    assert unknown.value.columns == "frage, antwort"
    with pytest.raises(ColumnMissing) as missing:
        load(path, columns={"prompt": "frage", "response": "answer"})
    assert (missing.value.column, missing.value.columns) == ("answer", "frage, antwort")


def test_plain_text_wants_its_own_stage(tmp_path: Path) -> None:
    text = write(tmp_path / "text.jsonl", [{"text": "One."}, {"text": "Two."}])
    assert [row.text for row in load(text, stage="pretrain").train] == ["One.", "Two."]
    with pytest.raises(StageMismatch):
        load(text)
    with pytest.raises(StageMismatch):
        load(pairs(tmp_path / "pairs.jsonl", 3), stage="pretrain")


def test_a_folder_stands_for_all_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    pairs(folder / "b.jsonl", 2, "b")
    pairs(folder / "a.jsonl", 2, "a")
    (folder / "notes.pdf").write_bytes(b"%PDF")
    assert questions(load(str(folder)).train) == ["a0", "a1", "b0", "b1"]
    (tmp_path / "none").mkdir()
    with pytest.raises(FileEmpty):
        load(str(tmp_path / "none"))


def test_a_llama_factory_list_is_taken_over_and_says_what_was_not(tmp_path: Path) -> None:
    write(
        tmp_path / "chat.jsonl",
        [{"talk": [{"who": "me", "says": "Q"}, {"who": "it", "says": "A"}]}],
    )
    write(tmp_path / "pairs.jsonl", [{"q": "Q", "a": "A", "s": "S", "input": "unused"}])
    write(tmp_path / "ranked.jsonl", [{"q": "Q", "good": "A", "bad": "B"}])
    entries = {
        "chat": {
            "file_name": "chat.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "talk", "images": "pictures"},
            "tags": {
                "role_tag": "who",
                "content_tag": "says",
                "user_tag": "me",
                "assistant_tag": "it",
            },
        },
        "pairs": {
            "file_name": "pairs.jsonl",
            "columns": {"prompt": "q", "response": "a", "system": "s"},
        },
        "ranked": {
            "file_name": "ranked.jsonl",
            "ranking": True,
            "columns": {"prompt": "q", "chosen": "good", "rejected": "bad"},
        },
        "remote": {"hf_hub_url": "some/where"},
        "gone": {"file_name": "gone.json"},
    }
    path = tmp_path / "dataset_info.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    assert turns(load(f"{path}#chat").train[0]) == [USER, ANSWER]
    assert turns(load(f"{path}#pairs").train[0]) == [SYSTEM, USER, ANSWER]
    assert turns(load(f"{path}#ranked").train[0]) == [USER, ANSWER]
    loaded = load(str(path))
    assert len(loaded.train) == 3
    notices = {values.get("name"): (code, values) for code, values in loaded.notices}
    assert notices["chat"][0] == "data.entry_partly_mapped"
    assert notices["chat"][1]["unmapped"] == "columns.images"
    assert notices["pairs"][0] == "data.entry_mapped"
    assert {name for name, (code, _) in notices.items() if code == "data.entry_skipped"} == {
        "remote",
        "gone",
    }
    with pytest.raises(DatasetEntryUnusable) as unusable:
        load(f"{path}#remote")
    assert "hub" in t("error.dataset_entry_unusable", "en", **unusable.value.values)
    with pytest.raises(FileMissing):
        load(f"{path}#nothing")


def test_the_same_seed_keeps_the_same_rows_aside(tmp_path: Path) -> None:
    path = pairs(tmp_path / "rows.jsonl", 50)
    first, again = (load(path, held_out_share=0.2) for _ in range(2))
    other = load(path, held_out_share=0.2, seed=7)
    assert questions(first.held_out) == questions(again.held_out)
    assert questions(first.held_out) != questions(other.held_out)
    assert len(first.held_out) == 10
    both = questions(first.train) + questions(first.held_out)
    assert sorted(both) == sorted(str(n) for n in range(50))
    assert questions(first.train) == sorted(questions(first.train), key=int)


def test_at_least_one_row_is_kept_aside_and_one_learned(tmp_path: Path) -> None:
    loaded = load(pairs(tmp_path / "rows.jsonl", 2), held_out_share=0.01)
    assert (len(loaded.train), len(loaded.held_out)) == (1, 1)


def test_one_row_is_too_few_to_keep_one_aside(tmp_path: Path) -> None:
    path = pairs(tmp_path / "rows.jsonl", 1)
    with pytest.raises(TooFewRows) as few:
        load(path, held_out_share=0.1)
    assert (few.value.have, few.value.need) == (1, 2)
    assert len(load(path).train) == 1


def test_rows_that_repeat_do_not_end_up_on_both_sides(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n % 10}", "response": "yes"} for n in range(40)]
    loaded = load(write(tmp_path / "rows.jsonl", rows), held_out_share=0.2)
    assert set(questions(loaded.train)).isdisjoint(questions(loaded.held_out))
    assert len(loaded.held_out) == 8


def test_without_any_usable_row_the_reasons_are_given(tmp_path: Path) -> None:
    rows = [{"prompt": "Q", "response": None}] * 3 + [{"prompt": "Q", "response": 5}]
    with pytest.raises(NothingToTrain) as nothing:
        load(write(tmp_path / "rows.jsonl", rows))
    sentence = t("error.nothing_to_train", "en", **nothing.value.values)
    assert "3 × null field (rows 1, 2, 3), 1 × field is not text (row 4)" in sentence


def test_weights_say_how_often_a_dataset_is_used(tmp_path: Path) -> None:
    paths = [pairs(tmp_path / f"{name}.jsonl", 10, name) for name in "abc"]
    loaded = load(*paths, weights=(2.0, 0.5, 1.3))
    used = questions(loaded.train)
    assert [sum(q.startswith(name) for q in used) for name in "abc"] == [20, 5, 13]
    assert {used.count(f"a{n}") for n in range(10)} == {2}
    assert max(used.count(f"b{n}") for n in range(10)) == 1
    assert used == questions(load(*paths, weights=(2.0, 0.5, 1.3)).train)


def test_repeated_rows_are_never_kept_aside_as_well(tmp_path: Path) -> None:
    loaded = load(pairs(tmp_path / "a.jsonl", 20), weights=(3.0,), held_out_share=0.25)
    assert (len(loaded.train), len(loaded.held_out)) == (45, 5)
    assert set(questions(loaded.train)).isdisjoint(questions(loaded.held_out))


def test_max_rows_chooses_at_random_by_seed(tmp_path: Path) -> None:
    path = pairs(tmp_path / "rows.jsonl", 100)
    chosen = questions(load(path, max_rows=10).train)
    assert len(chosen) == 10
    assert chosen == questions(load(path, max_rows=10).train)
    assert chosen != [str(n) for n in range(10)]
    assert load(path, max_rows=10).left_out == 90


def test_a_held_out_file_is_used_whole_and_no_row_is_taken_away(tmp_path: Path) -> None:
    path, aside = pairs(tmp_path / "rows.jsonl", 10), pairs(tmp_path / "aside.jsonl", 3, "x")
    loaded = load(path, held_out_file=aside, held_out_share=0.5)
    assert len(loaded.train) == 10
    assert questions(loaded.held_out) == ["x0", "x1", "x2"]


def test_demo_datasets_bring_their_own_held_out_rows(tmp_path: Path) -> None:
    for name in ("style", "knowledge", "instruction"):
        shared = load(f"demo/{name}", held_out_share=0.1)
        alone = load(f"demo/{name}")
        assert not shared.problems
        assert shared.held_out
        assert len(shared.train) == len(alone.train) == shared.read
        assert not alone.held_out
    with pytest.raises(FileMissing):
        load("demo/nothing")


def test_the_fingerprint_follows_content_and_choice_of_rows(tmp_path: Path) -> None:
    path = pairs(tmp_path / "rows.jsonl", 10)
    first = load(path).fingerprint
    assert load(path).fingerprint == first
    assert load(path, max_length=99).fingerprint == first
    assert load(path, max_rows=5).fingerprint != first
    pairs(tmp_path / "rows.jsonl", 11)
    assert load(path).fingerprint != first
