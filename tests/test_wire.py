import pytest

from easytune.wire import REPLIES, REQUESTS, Column, Generate, Piece, Turn


@pytest.mark.parametrize(
    ("typed", "sent"),
    [("a\ud800b", "a\ufffdb"), ("\ud83d\ude00", "\U0001f600"), ("你好", "你好")],
    ids=["half a pair", "a pair in two halves", "ordinary text"],
)
def test_whatever_a_browser_sends_can_be_written_to_a_host(typed: str, sent: str) -> None:
    column = Column(messages=(Turn(role="user", content=typed),), prompt=typed)

    line = Generate(request="1", columns=(column,)).model_dump_json()

    read = REQUESTS.validate_json(line)
    assert isinstance(read, Generate)
    assert read.columns[0].messages[0].content == sent
    assert read.columns[0].prompt == sent


def test_replies_of_a_newer_host_with_unknown_facts_are_understood() -> None:
    line = '{"kind": "piece", "request": "1", "column": 2, "text": "a", "tokens": 1, "new": 5}'

    assert REPLIES.validate_json(line) == Piece(request="1", column=2, text="a", tokens=1)
