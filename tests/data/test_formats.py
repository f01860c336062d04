"""Formats: what is recognised, what is learned of it, and quick looks that agree with that."""

from typing import Any

import pytest

from easytune.data import formats
from easytune.data.conversation import Content
from easytune.data.formats import Layout
from easytune.data.rows import Problem

TURN = {"role": "user", "content": "Q"}
GOOD = {"role": "assistant", "content": "A"}
BAD = {"role": "assistant", "content": "B"}
LEARNED = [("user", "Q"), ("assistant", "A")]


def converted(row: Any, name: str | None = None) -> Content | Problem:
    layout = Layout(name or formats.recognise([row]))
    match formats.convert(row, 1, "rows", layout):
        case Problem() as problem:
            return problem
        case (_, content):
            return content


def learned(row: Any) -> list[tuple[str, str]]:
    content = converted(row)
    assert isinstance(content, Content)
    return [(message.role, message.content) for message in content.messages or ()]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Q", "chosen": "A", "rejected": "B"},
        {"question": "Q", "chosen": "A", "rejected": "B", "system": ""},
        {"instruction": "Q", "input": "", "chosen": "A", "rejected": "B"},
        {"prompt": "Q", "chosen": [TURN, GOOD], "rejected": [TURN, BAD]},
        {"chosen": [TURN, GOOD], "rejected": [TURN, BAD]},
        {"prompt": [TURN], "chosen": [GOOD], "rejected": [BAD]},
        {"conversations": [{"from": "human", "value": "Q"}],
         "chosen": {"from": "gpt", "value": "A"}, "rejected": {"from": "gpt", "value": "B"}},
        {"messages": [TURN], "chosen": GOOD, "rejected": BAD},
        {"chosen": "\n\nHuman: Q\n\nAssistant: A", "rejected": "\n\nHuman: Q\n\nAssistant: B"},
    ],
)  # fmt: skip
def test_of_preferences_the_chosen_answer_is_learned_and_said_so(row: dict[str, Any]) -> None:
    content = converted(row)
    assert formats.recognise([row]) == "preference"
    assert learned(row) == LEARNED
    assert isinstance(content, Content)
    assert "preference_chosen_only" in content.repairs


def test_a_preference_keeps_its_system_message_and_history() -> None:
    row = {"system": "S", "prompt": "Q", "history": [["a", "b"]], "chosen": "A", "rejected": "B"}
    before = [("system", "S"), ("user", "a"), ("assistant", "b")]
    assert learned(row) == [*before, *LEARNED]
    whole = row | {"chosen": [TURN, GOOD]}
    assert learned(whole) == [("system", "S"), *LEARNED]


def test_preferences_that_lack_something_say_what() -> None:
    found = [
        converted({"prompt": "Q", "chosen": None, "rejected": "B"}),
        converted({"chosen": "A", "rejected": "B"}),
    ]
    assert [each.code for each in found if isinstance(each, Problem)] == ["null", "no_question"]


@pytest.mark.parametrize(
    "asked",
    [
        {"prompt": "Q", "completion": "A"},
        {"messages": [TURN, GOOD]},
        {"instruction": "Q", "input": "", "output": "A"},
    ],
)
def test_of_labelled_answers_the_wanted_ones_are_learned(asked: dict[str, Any]) -> None:
    for label in (True, "True"):
        assert formats.recognise([asked | {"label": label}]) == "kto"
        assert learned(asked | {"label": label}) == LEARNED
    for label in (False, "false"):
        problem = converted(asked | {"label": label})
        assert isinstance(problem, Problem)
        assert problem.code == "undesired"


def test_a_label_that_says_neither_is_no_label() -> None:
    row = {"prompt": "Q", "completion": "A", "label": 3}
    assert formats.recognise([row]) == "prompt_completion"
    among_labelled = converted(row, "kto")
    assert isinstance(among_labelled, Problem)
    assert among_labelled.code == "not_bool"
    assert formats.recognise(["One text.", "Another."]) == "text"


def test_rows_of_another_format_of_the_same_kind_are_read_by_their_own() -> None:
    rows = [
        {"messages": [TURN, GOOD]},
        {"question": "Q", "answer": "A"},
        {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
    ]
    for row in rows:
        content = converted(row, "alpaca")
        assert isinstance(content, Content)
        assert [(m.role, m.content) for m in content.messages or ()] == LEARNED
    for other in ({"text": "plain"}, "plain"):
        problem = converted(other, "alpaca")
        assert isinstance(problem, Problem)


ODD = [None, "", "  ", "x", 5, True, ["x"], [], {}, [["a", "b"]], [TURN, GOOD], [GOOD], [TURN]]


@pytest.mark.parametrize("name", ["alpaca", "messages", "sharegpt", "text"])
def test_a_quick_look_never_takes_what_conversion_refuses(name: str) -> None:
    fields = {
        "alpaca": ["instruction", "input", "output", "system", "history"],
        "messages": ["messages", "system", "tools"],
        "sharegpt": ["conversations", "conversation", "system"],
        "text": ["text"],
    }[name]
    usual = {"instruction": "Q", "output": "A"} if name == "alpaca" else {}
    turns: dict[str, Any] = {"messages": [TURN, GOOD]} if name == "messages" else {}
    turns |= {"conversations": [TURN, GOOD]} if name == "sharegpt" else {}
    looks = formats.surely_fits(Layout(name))
    taken = 0
    for field in fields:
        for value in ODD:
            row = usual | turns | {field: value}
            if looks(row):
                taken += 1
                assert isinstance(converted(row, name), Content), row
    assert taken
    assert not any(looks(value) for value in ODD)
    assert not formats.surely_fits(Layout(name, {"text": "other"}))({"text": "x"})
