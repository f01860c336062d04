import pytest

from easytune import wire
from easytune.services.answer import Answer
from easytune.services.questions import LoadingModel, Waiting
from easytune.thinking import split_thinking


def _began(**facts: object) -> wire.Began:
    usual = {"request": "r", "column": 0, "prompt_tokens": 7, "limit": 50}
    return wire.Began.model_validate(usual | facts)


def _piece(text: str, tokens: int) -> wire.Piece:
    return wire.Piece(request="r", column=0, text=text, tokens=tokens)


def _ended(reason: str = "stop", **facts: object) -> wire.Ended:
    return wire.Ended.model_validate({"request": "r", "column": 0, "reason": reason} | facts)


@pytest.mark.parametrize(
    ("text", "opened", "thinking", "answer"),
    [
        ("It is 4.", False, "", "It is 4."),
        ("<think>\n2 + 2\n</think>\n\nIt is 4.", False, "2 + 2", "It is 4."),
        ("2 + 2</think>It is 4.", True, "2 + 2", "It is 4."),
        ("<think>2 +", False, "2 +", ""),
        ("2 +", True, "2 +", ""),
        ("[THINK]hm[/THINK]4", False, "hm", "4"),
        ("Say <think> to begin.", False, "", "Say <think> to begin."),
        ("<", False, "", "<"),
    ],
)
def test_thinking_is_told_from_the_answer(
    text: str, opened: bool, thinking: str, answer: str
) -> None:
    assert split_thinking(text, opened) == (thinking, answer)


def test_a_tag_that_is_half_written_never_shows() -> None:
    answer = Answer()
    answer.add(_began())
    shown = []
    for tokens, part in enumerate(["<thi", "nk>", "2 + 2", "</th", "ink>", "It ", "is 4."], 1):
        answer.add(_piece(part, tokens))
        shown.append((answer.thinking, answer.text, answer.state))

    assert shown == [
        ("", "", "answering"), ("", "", "answering"), ("2 + 2", "", "thinking"),
        ("2 + 2", "", "thinking"), ("2 + 2", "", "thinking"), ("2 + 2", "It ", "answering"),
        ("2 + 2", "It is 4.", "answering"),
    ]  # fmt: skip


def test_an_answer_goes_from_waiting_to_its_end() -> None:
    answer = Answer()
    states = [answer.state]
    for update in (
        Waiting(0, 2), LoadingModel(0, "demo", "reading", 0.5), _began(opens_thinking=True),
        _piece("hm", 1), _piece("</think>4", 2), _ended("length", completion_tokens=2),
    ):  # fmt: skip
        answer.add(update)
        states.append(answer.state)

    assert states == [
        "waiting", "waiting", "loading", "reading", "thinking", "answering", "ended",
    ]  # fmt: skip
    assert (answer.thinking, answer.text, answer.reason) == ("hm", "4", "length")


def test_the_figures_at_the_end_are_those_of_the_host() -> None:
    answer = Answer()
    for update in (_began(mode="batch", dropped=2), _piece("a", 1), _piece("b", 11)):
        answer.add(update)
    answer.add(_ended(prompt_tokens=7, completion_tokens=11, first_token_seconds=0.5, seconds=2.5))

    assert answer.details() == {
        "mode": "batch", "reason": "stop", "prompt_tokens": 7, "tokens": 11, "limit": 50,
        "dropped": 2, "first_token_seconds": 0.5, "seconds": 2.5, "tokens_per_second": 5.0,
    }  # fmt: skip


def test_an_answer_that_broke_off_keeps_what_was_written() -> None:
    answer = Answer()
    for update in (_began(), _piece("half of ", 2), _piece("it", 3)):
        answer.add(update)
    answer.add(_ended("failed", code="host_crashed", values={"model": "demo"}))

    assert (answer.text, answer.tokens, answer.prompt_tokens) == ("half of it", 3, 7)
    assert (answer.state, answer.code) == ("ended", "host_crashed")
