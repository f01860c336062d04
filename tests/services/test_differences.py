import random
import time

import pytest

from easytune.services.differences import differences


@pytest.mark.parametrize(
    ("reference", "text", "changed"),
    [
        ("The cat sat on the mat.", "The dog sat  on\nthe red mat.", ["dog", "red"]),
        ("The same.", "The  same.", []),
        ("我们今天去公园。", "我们明天去动物园。", ["明", "动物"]),
        ("a b c", "a new word c", ["new word"]),
        ("", "all new", ["all new"]),
        ("gone", "", []),
        ("def f_1(x):", "def f_2(x):", ["f_2"]),
    ],
)
def test_words_that_differ_are_marked_and_nothing_is_lost(
    reference: str, text: str, changed: list[str]
) -> None:
    parts = differences(reference, text)

    assert "".join(part for part, _ in parts) == text
    assert [part.strip() for part, is_changed in parts if is_changed] == changed


def test_long_and_repetitive_answers_are_compared_in_no_time() -> None:
    draw = random.Random(0)
    words = ["the", "of", "a"] * 100 + [f"word{number}" for number in range(1000)]
    first = [draw.choice(words) for _ in range(2000)]
    second = [draw.choice(words) if draw.random() < 0.3 else word for word in first]
    hanzi = ["的的的的是是"[draw.randrange(6)] for _ in range(6000)]
    other = ["的的的的是是"[draw.randrange(6)] for _ in range(6000)]

    began = time.process_time()
    parts = differences(" ".join(first), " ".join(second))
    differences("".join(hanzi), "".join(other))

    assert time.process_time() - began < 2
    marked = " ".join(part for part, is_changed in parts if is_changed).split()
    assert 300 < len(marked) < 800
