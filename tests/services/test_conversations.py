"""Conversations: kept, found, changed, exported for people and for training, imported."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from easytune.config import DataSection
from easytune.data import dataset
from easytune.generation import SamplingSection
from easytune.i18n import t
from easytune.inference_errors import ConversationMissing, ImportUnreadable
from easytune.services import conversation_files
from easytune.services.conversations import Conversation, Conversations, Message
from easytune.services.store import Store

SAMPLING = SamplingSection(temperature=0.2, seed=7, thinking="off", stop=("\nUser:", "完"))
DETAILS = {"tokens": 12, "seconds": 0.5, "reason": "stop", "chances": [["a", -0.1]], "none": None}
MESSAGES = (
    Message("user", "北京在哪里？\n\n```python\nprint('<b>')\n```"),
    Message("assistant", "在中国。", "Let me think.", "20260101-demo@40", DETAILS),
    Message("user", "And \u2028 the Straße? 👍"),
    Message("assistant", "There.", "", "demo", {}),
)


@pytest.fixture
def conversations(home: Path) -> Conversations:
    """The conversations of the test's home."""
    return Conversations(Store(home))


@pytest.fixture
def talked(conversations: Conversations) -> Conversation:
    """A conversation of two questions and two answers."""
    made = conversations.create("demo", "Answer briefly.", SAMPLING)
    return conversations.append(made.id, *MESSAGES)


def _said(conversation: Conversation) -> list[Message]:
    return [replace(message, id=0) for message in conversation.messages]


def _in_words(caught: pytest.ExceptionInfo[ImportUnreadable], lang: str = "en") -> str:
    return t("error.import_unreadable", lang, **caught.value.values)


def _file(tmp_path: Path, text: str, name: str = "rows.jsonl") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_conversation_is_the_same_after_a_restart(home: Path, talked: Conversation) -> None:
    again = Conversations(Store(home)).get(talked.id)

    assert again == talked
    assert _said(again) == list(MESSAGES)
    assert again.sampling == SAMPLING


def test_the_first_question_gives_the_title_until_somebody_does(
    conversations: Conversations,
) -> None:
    made = conversations.create()
    long = "Why   is\nthe sky blue in the morning and red in the evening, and what is between?"

    titled = conversations.append(made.id, Message("user", long))
    renamed = conversations.change(made.id, title=" The sky\n<b> ")
    later = conversations.append(made.id, Message("user", "Another question"))

    assert titled.title == "Why is the sky blue in the morning and red in the evening…"
    assert renamed.title == later.title == "The sky <b>"


def test_a_chinese_question_is_cut_within_the_sentence(conversations: Conversations) -> None:
    made = conversations.create()

    titled = conversations.append(made.id, Message("user", "天" * 100))

    assert titled.title == "天" * 60 + "…"


@pytest.mark.parametrize(
    "search", ["STRASSE", "straße", "北京", "京在哪", "ＡＮＤ", "there.", " 在中国 "]
)
def test_search_finds_text_in_any_case_and_script(
    conversations: Conversations, talked: Conversation, search: str
) -> None:
    conversations.append(conversations.create().id, Message("user", "something else"))

    assert [each.id for each in conversations.list(search)] == [talked.id]


@pytest.mark.parametrize("search", ["%", "_", "'", "nowhere", "\\"])
def test_search_takes_signs_of_sql_as_text(
    conversations: Conversations, talked: Conversation, search: str
) -> None:
    if search in talked.messages[0].content:
        assert [each.id for each in conversations.list(search)] == [talked.id]
    else:
        assert conversations.list(search) == []


def test_the_list_begins_with_the_last_changed_and_counts_messages(
    conversations: Conversations, talked: Conversation
) -> None:
    newer = conversations.create(title="newer")
    before = [each.id for each in conversations.list()]
    conversations.append(talked.id, Message("user", "once more"))

    after = conversations.list()

    assert before == [newer.id, talked.id]
    assert [(each.id, each.messages) for each in after] == [(talked.id, 5), (newer.id, 0)]
    assert [each.id for each in conversations.list(limit=1)] == [talked.id]


def test_going_back_and_answering_anew_change_only_the_end(
    conversations: Conversations, talked: Conversation
) -> None:
    anew = conversations.replace_last(talked.id, Message("assistant", "Elsewhere."))
    shorter = conversations.truncate(talked.id, 1)

    assert [m.content for m in anew.messages[:3]] == [m.content for m in MESSAGES[:3]]
    assert anew.messages[3].content == "Elsewhere."
    assert shorter.messages == talked.messages[:1]
    assert conversations.get(talked.id) == shorter


def test_a_deleted_conversation_is_gone_for_every_method(
    conversations: Conversations, talked: Conversation
) -> None:
    conversations.delete(talked.id)

    assert conversations.list() == []
    for act in (
        lambda: conversations.get(talked.id),
        lambda: conversations.append(talked.id, Message("user", "?")),
        lambda: conversations.truncate(talked.id, 0),
        lambda: conversations.replace_last(talked.id, Message("user", "?")),
        lambda: conversations.change(talked.id, title="?"),
        lambda: conversations.delete(talked.id),
        lambda: conversations.export([talked.id], "json"),
    ):
        with pytest.raises(ConversationMissing):
            act()


def test_what_no_database_takes_is_kept_as_near_as_can_be(conversations: Conversations) -> None:
    made = conversations.create(system="half \ud83d")

    kept = conversations.append(
        made.id, Message("assistant", "a\x00b \udc00", details={"speed": float("nan")})
    )

    assert kept.system == "half ?"
    assert kept.messages[0].content == "a\x00b ?"
    assert kept.messages[0].details == {"speed": None}


def test_json_brings_everything_back(
    conversations: Conversations, talked: Conversation, tmp_path: Path
) -> None:
    empty = conversations.create(title="empty")
    text = conversations.export([talked.id, empty.id], "json")

    ids = conversations.import_file(_file(tmp_path, text, "export.json"))

    back = [conversations.get(id) for id in ids]
    assert {*ids}.isdisjoint({talked.id, empty.id})
    for before, after in zip([talked, empty], back, strict=True):
        assert _said(after) == _said(before)
        assert replace(after, id="", messages=()) == replace(before, id="", messages=())
    assert conversations.export(ids, "json") == text


def test_jsonl_has_rows_that_our_own_training_reads(
    conversations: Conversations, talked: Conversation, tmp_path: Path
) -> None:
    unanswered = conversations.append(conversations.create().id, Message("user", "Hello?"))
    failed = conversations.append(
        conversations.create().id,
        Message("user", "Failed at first"),
        Message("assistant", "", details={"reason": "failed"}),
        Message("user", "Tried again"),
        Message("assistant", "It works."),
    )
    ids = [talked.id, unanswered.id, failed.id]

    path = _file(tmp_path, conversations.export(ids, "jsonl"))

    loaded = dataset.load(DataSection(datasets=(str(path),), held_out_share=0))
    rows = [[(m.role, m.content) for m in row.messages or ()] for row in loaded.train]
    assert (loaded.problems, loaded.notices) == ([], [])
    assert rows[0][0] == ("system", "Answer briefly.")
    assert rows[0][2] == ("assistant", "<think>\nLet me think.\n</think>\n\n在中国。")
    assert rows[1] == [("user", "Tried again"), ("assistant", "It works.")]
    assert len(rows) == 2


def test_jsonl_comes_back_as_conversations_with_their_thinking(
    conversations: Conversations, talked: Conversation, tmp_path: Path
) -> None:
    path = _file(tmp_path, conversations.export([talked.id], "jsonl"))

    (id,) = conversations.import_file(path)

    back = conversations.get(id)
    assert back.system == "Answer briefly."
    assert [(m.role, m.content, m.thinking) for m in back.messages] == [
        (m.role, m.content, m.thinking) for m in MESSAGES
    ]


def test_sharegpt_and_question_answer_rows_can_be_imported(
    conversations: Conversations, tmp_path: Path
) -> None:
    rows = [
        {"system": "Be kind.", "conversations": [{"from": "human", "value": "Hi"}]},
        {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]},
    ]
    pairs = [{"instruction": "Add", "input": "1 and 2", "output": "3"}]
    listed = _file(tmp_path, json.dumps(rows), "rows.json")
    alpaca = _file(tmp_path, json.dumps(pairs[0]) + "\n", "alpaca.jsonl")

    ids = [*conversations.import_file(listed), *conversations.import_file(alpaca)]

    found = [conversations.get(id) for id in ids]
    assert [[m.content for m in each.messages] for each in found] == [
        ["Hi"], ["Q", "A"], ["Add\n1 and 2", "3"],
    ]  # fmt: skip
    assert found[0].system == "Be kind."
    assert [each.title for each in found] == ["Hi", "Q", "Add 1 and 2"]


GOOD = json.dumps({"messages": [{"role": "user", "content": "Q"}]})
DEEP = '{"messages": ' + "[" * 100_000 + "]" * 100_000 + "}"
OWN = '{"format": "easytune-conversations", "version": %s, "conversations": %s}'
DATED = '"created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z"'


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.jsonl", f"{GOOD}\n{GOOD[:-3]}\n", "line 2: cut off"),
        ("a.jsonl", f"{GOOD}\n\nnonsense\n{GOOD}", "line 3: not valid JSON"),
        ("a.jsonl", f"{GOOD}\n{DEEP}\n", "line 2: it is nested too deeply"),
        ("a.jsonl", f'{GOOD}\n{{"messages": [], "x": NaN}}\n', "line 2: it has a number that"),
        ("a.jsonl", f'{GOOD}\n{{"messages": [], "messages": []}}', "line 2: a key is given twice"),
        ("a.jsonl", f'{GOOD}\n{{"messages": [{{"role": "wizard", "content": "x"}}]}}',
         "line 2: unknown role (messages[0].role)"),
        ("a.jsonl", f'{GOOD}\n{{"messages": [{{"role": "user", "content": 7}}]}}',
         "line 2: field is not text (messages[0].content)"),
        ("a.jsonl", f'{GOOD}\n{{"messages": [{{"role": "tool", "content": "x"}}]}}',
         "line 2: it has answers of tools"),
        ("a.jsonl", f"{GOOD}\n[1]\n", "line 2: not an object"),
        ("a.jsonl", '{"text": "plain"}\n', "line 1: it is plain text"),
        ("a.json", DEEP, "it is nested too deeply"),
        ("a.json", "[]", "it holds no conversation"),
        ("a.json", " ", "it holds no conversation"),
        ("a.json", OWN % (1, "[]"), "it holds no conversation"),
        ("a.json", OWN % (2, "[]"), "a newer EasyTune has written it"),
        ("a.json", OWN % (1, "7"), "missing or not as expected, conversations"),
        ("a.json", OWN % (1, f'[{{{DATED}, "messages": [{{"role": "user"}}]}}]'),
         "conversation 1: missing or not as expected, messages.0.content"),
        ("a.json", OWN % (1, '[{"created": "0001-01-01T00:00:00+14:00", "messages": []}]'),
         "conversation 1: missing or not as expected, created"),
        ("a.json", OWN % (1, f'[{{{DATED}, "messages": [], "model": NaN}}]'), "(NaN)"),
        ("a.json", "9" * 10_000, "not valid JSON"),
        ("a.pdf", "%PDF-1.7", "its ending is not one EasyTune reads"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_by_line_and_reason_and_nothing_is_imported(
    conversations: Conversations, tmp_path: Path, name: str, text: str, words: str
) -> None:
    with pytest.raises(ImportUnreadable) as caught:
        conversations.import_file(_file(tmp_path, text, name))

    sentence = _in_words(caught)
    assert sentence.startswith(f"{name} cannot be imported: ")
    assert words in sentence
    assert "@" not in sentence
    assert "@" not in _in_words(caught, "zh")
    assert conversations.list() == []


def test_a_huge_file_is_refused_before_it_is_read(
    conversations: Conversations, tmp_path: Path
) -> None:
    path = tmp_path / "huge.jsonl"
    with path.open("wb") as file:
        file.truncate(conversation_files.MAX_BYTES + 1)

    with pytest.raises(ImportUnreadable) as caught:
        conversations.import_file(path)

    assert "larger than 64 MB" in _in_words(caught)


def test_markdown_reads_well_in_both_languages(
    conversations: Conversations, talked: Conversation
) -> None:
    english = conversations.export([talked.id], "markdown")
    chinese = conversations.export([talked.id], "markdown", "zh")

    assert english.startswith("# 北京在哪里？")
    assert "## System prompt\n\nAnswer briefly." in english
    assert "## Assistant (20260101-demo@40)" in english
    assert "<details><summary>Thinking</summary>\n\nLet me think.\n\n</details>" in english
    assert MESSAGES[0].content in english
    assert "## 助手 (demo)" in chinese
