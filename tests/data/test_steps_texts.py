"""What the text steps make of texts, wherever in a row these are."""

import time
from collections import Counter
from typing import Any

import pytest

from easytune.data.formats import Layout
from easytune.data.steps import clean, filtering, personal_data, stop_words, turns
from easytune.data.steps.clean import cleaner
from easytune.data.steps.options import (
    CleanSection,
    FilterSection,
    PersonalDataSection,
    SplitTurnsSection,
    StopWordsSection,
    SystemPromptSection,
)

ALPACA, MESSAGES = Layout("alpaca"), Layout("messages")
EVERYTHING = PersonalDataSection(ip_address=True)


def _masked(text: str) -> str:
    return personal_data.masker(EVERYTHING, Counter())(text)


def _turns(*contents: str) -> dict[str, Any]:
    roles = ["user", "assistant"] * len(contents)
    return {"messages": [{"role": r, "content": c} for r, c in zip(roles, contents, strict=False)]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\x00b\u200bc\ufeff", "abc"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("  many   blanks  \n\n\n\nend ", "many blanks\n\nend"),
        ("if x:\n    y  =  1", "if x:\n    y = 1"),
        ("```\nx  =  1  \n\n\n\n```", "```\nx  =  1  \n\n\n\n```"),
        ("e\u0301", "é"),
        ("family: 👩\u200d👩\u200d👧", "family: 👩\u200d👩\u200d👧"),
    ],
)
def test_cleaning_keeps_what_is_written(before: str, after: str) -> None:
    assert cleaner(CleanSection())(before) == after


def test_html_goes_but_code_and_thoughts_stay() -> None:
    text = (
        "<p>1 &lt; 2</p><!-- note --><ScRiPt>x()</script><think>hm</think> List<String> ```<b>```"
    )

    assert cleaner(CleanSection(html=True))(text) == (
        "1 < 2\n<think>hm</think> List<String> ```<b>```"
    )


@pytest.mark.parametrize(
    ("width", "after"),
    [
        ("letters", "ABC1，(ok) 你好,世界.完"),
        ("half", "ABC1,(ok) 你好,世界.完"),
        ("chinese", "ＡＢＣ１，(ok) 你好，世界。完"),
    ],
)
def test_width_is_changed_as_far_as_was_asked(width: Any, after: str) -> None:
    assert cleaner(CleanSection(width=width))("ＡＢＣ１，(ok) 你好,世界.完") == after


def test_hostile_text_is_cleaned_in_no_time() -> None:
    text = "<!--<script>(" * 30_000 + " " * 200_000 + "&amp;"
    begun = time.process_time()

    cleaner(CleanSection(html=True, width="chinese", unicode="NFKC"))(text)
    stop_words.remover(StopWordsSection(chinese=False), Counter())(text)

    assert time.process_time() - begun < 5


def test_only_the_fields_that_were_named_are_changed() -> None:
    row = {"id": " 7 ", **_turns(" ask  me ", " an  answer ")}
    answers = clean.prepare(CleanSection(fields=("assistant",)), Counter())
    columns = clean.prepare(CleanSection(fields=("output",)), Counter())

    assert answers(row, MESSAGES) == [{"id": " 7 ", **_turns(" ask  me ", "an answer")}]
    [same] = columns(row, MESSAGES)
    assert same is row


def test_turns_that_a_table_keeps_as_json_text_stay_json() -> None:
    row = {"messages": '[{"role":"user","content":"say &quot;a&quot;"}]'}

    [after] = clean.prepare(CleanSection(html=True), Counter())(row, MESSAGES)

    assert after == {"messages": '[{"role":"user","content":"say \\"a\\""}]'}


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("电话13800138000，谢谢", "电话[PHONE]，谢谢"),
        ("+44 20 7946 0958 or (415) 555-2671", "[PHONE] or [PHONE]"),
        ("邮箱a.b+c@mail.example.co.uk。", "邮箱[EMAIL]。"),
        ("身份证11010519491231002X", "身份证[ID]"),
        ("信用代码91350100M000100Y43", "信用代码[ID]"),
        ("SSN 123-45-6789, CPF 529.982.247-25", "SSN [ID], CPF [ID]"),
        ("aadhaar 2341 2341 2346, DNI 12345678Z", "aadhaar [ID], DNI [ID]"),
        ("card 4111 1111 1111 1111.", "card [CARD]."),
        ("DE89 3704 0044 0532 0130 00 BANK", "[IBAN] BANK"),
        ("at 192.168.1.1 and 2001:db8::1", "at [IP] and [IP]"),
    ],
)
def test_personal_data_is_replaced(text: str, after: str) -> None:
    assert _masked(text) == after
    assert _masked(after) == after


@pytest.mark.parametrize(
    "text",
    [
        "身份证110105194912310021",  # check digit
        "4111 1111 1111 1112",  # check digit
        "DE88 3704 0044 0532 0130 00",  # check digits
        "pi is 3.14159265358979, founded on 2024-01-15 at 10:30:00",
        "std::vector of a::b, version 1.2.3.4.5",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14",
        "user@localhost",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert _masked(text) == text


def test_personal_data_is_found_in_every_column_and_counted() -> None:
    found: Counter[str] = Counter()
    row = {"id": "a@b.cn", "name": "a@b.cn", "tool_calls": [{"arguments": '{"to":"a@b.cn"}'}]}

    [after] = personal_data.prepare(EVERYTHING, found)(row, MESSAGES)

    expected = {
        "id": "a@b.cn",
        "name": "[EMAIL]",
        "tool_calls": [{"arguments": '{"to":"[EMAIL]"}'}],
    }
    assert after == expected
    assert found == {"email": 2}


def test_stop_words_go_in_both_languages_but_no_text_becomes_empty() -> None:
    remove = stop_words.remover(StopWordsSection(), Counter())

    assert remove("The foxes of the forest are not lazy, 我们的公司在北京。") == (
        "foxes forest not lazy, 公司北京。"
    )
    assert remove("the of and") == "the of and"


def _kept(row: dict[str, Any], **options: Any) -> bool:
    layout = MESSAGES if "messages" in row else ALPACA
    return bool(filtering.prepare(FilterSection(**options), Counter())(row, layout))


def test_filters_look_at_the_answers_when_told_to() -> None:
    row = _turns("A long question about foxes", "Yes", "And?", "No")

    assert _kept(row, min_characters=10)
    assert not _kept(row, min_characters=10, measure="answer")
    assert _kept(row, matching="(?i)FOX(es)?")
    assert not _kept(row, matching="foxes", measure="answer")
    assert not _kept(row, not_matching=r"^N\w|No$", measure="answer")


def test_filters_tell_languages() -> None:
    english, chinese = (
        _turns("How are you doing this fine day?", "Well"),
        _turns("今天天气怎么样", "很好"),
    )

    assert (_kept(english, languages=("en",)), _kept(chinese, languages=("en",))) == (True, False)
    assert (_kept(english, languages=("zh",)), _kept(chinese, languages=("zh",))) == (False, True)


def test_an_expression_that_would_never_end_ends() -> None:
    begun = time.process_time()

    assert not _kept(_turns("a" * 50_000, "b"), matching="(a+)+$")
    assert time.process_time() - begun < 5


def _prompted(row: dict[str, Any], layout: Layout, **options: Any) -> Any:
    [after] = turns.prepare_system_prompt(SystemPromptSection(**options), Counter())(row, layout)
    return after


def test_a_system_prompt_is_put_where_each_format_has_it() -> None:
    sharegpt = {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}

    assert _prompted({"instruction": "q", "output": "a"}, ALPACA, text="Be brief")["system"] == (
        "Be brief"
    )
    assert _prompted(_turns("q", "a"), MESSAGES, text="Be brief")["messages"][0] == {
        "role": "system", "content": "Be brief",
    }  # fmt: skip
    assert _prompted(sharegpt, Layout("sharegpt"), text="Be brief")["conversations"][0] == {
        "from": "system", "value": "Be brief",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("existing", "after"), [("keep", "Old"), ("replace", "New"), ("extend", "New\n\nOld")]
)
def test_a_system_prompt_that_is_there_is_treated_as_asked(existing: str, after: str) -> None:
    row = {"messages": [{"role": "system", "content": "Old"}, *_turns("q", "a")["messages"]]}

    new = _prompted(row, MESSAGES, text="New", existing=existing)

    assert [turn["content"] for turn in new["messages"]] == [after, "q", "a"]


def _split(row: dict[str, Any], history: bool) -> list[Any]:
    layout = MESSAGES if "messages" in row else ALPACA
    return turns.prepare_split_turns(SplitTurnsSection(history=history), Counter())(row, layout)


def test_each_answer_becomes_a_row_with_or_without_what_came_before() -> None:
    row = {"id": 1, **_turns("q1", "a1", "q2", "a2")}

    with_history, without = _split(row, history=True), _split(row, history=False)

    assert with_history == [{"id": 1, **_turns("q1", "a1")}, row]
    assert without == [{"id": 1, **_turns("q1", "a1")}, {"id": 1, **_turns("q2", "a2")}]


def test_the_history_of_alpaca_rows_is_split_too() -> None:
    row = {"instruction": "q2", "input": "", "output": "a2", "history": [["q1", "a1"]]}

    first, second = _split(row, history=False)

    assert first == {"instruction": "q1", "input": "", "output": "a1", "history": []}
    assert second == {**row, "history": []}
