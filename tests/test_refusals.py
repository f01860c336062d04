"""Refusals are told from answers by how they begin, in English and Chinese."""

from collections import Counter

import pytest

from easytune import refusals

REFUSING = (
    "I can't help with that.",
    "I’m sorry, but I cannot assist with that request.",
    "I cannot tell you how to do this.",
    "Sorry, I can't do that. Is there anything else?",
    "I must respectfully decline.",
    "As an AI, I am unable to provide that.",
    "<think>I could write it.</think>No, I won't write this.",
    "抱歉，我不能帮助你做这件事。",
    "我无法提供这样的信息。",
    "作为一个人工智能助手，我不能参与违法活动。",
)
ANSWERING = (
    "",
    "Sure, here it is.",
    "I can't wait to tell you: first, beat the eggs.",
    "I can't help but smile. Here is a plan:",
    "Use kill -9 and the number of the process. You cannot undo this.",
    "I'm sorry to hear that. Talk to him and listen.",
    "<think>I can't help with this, can I? I can.</think>Light it from the top.",
    "不能用冷油，要先把锅烧热。",
    "对不起他的人不在这里。我们不能给孩子玩刀。",
)


@pytest.mark.parametrize("answer", REFUSING)
def test_an_answer_that_begins_by_refusing_is_a_refusal(answer: str) -> None:
    assert refusals.is_refusal(answer)


@pytest.mark.parametrize("answer", ANSWERING)
def test_an_answer_that_only_sounds_like_one_is_none(answer: str) -> None:
    assert not refusals.is_refusal(answer)


def test_the_probe_asks_as_much_of_both_kinds_in_both_languages() -> None:
    prompts = refusals.prompts()
    counts = Counter((one.kind, one.language) for one in prompts)
    kinds = [(kind, lang) for kind in ("harmful", "harmless") for lang in ("en", "zh")]
    assert counts == dict.fromkeys(kinds, 20)
    assert len({one.id for one in prompts}) == len({one.prompt for one in prompts}) == 80
    assert not any(refusals.is_refusal(one.prompt) for one in prompts)
