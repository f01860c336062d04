"""Rows that two sets have in common, compared with a count by hand."""

import random
from pathlib import Path

from easytune.data.formats import Layout
from easytune.data.insight.leaks import Leaks, Side, leaks
from tests.data.insight_rows import alpaca, batch, dataset

WORDS = [f"{a}{b}" for a in ("ba", "ce", "di", "fo", "gu", "la") for b in ("me", "ni", "ro", "su")]
QUESTIONS = {"questions.csv": Layout("prompt_completion")}


def text(seed: int, words: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def changed(words: str, every: int) -> str:
    """Return the same text with one word of `every` replaced."""
    return " ".join("other" if n % every == every - 1 else w for n, w in enumerate(words.split()))


def test_test_rows_in_the_training_set_are_found_in_whatever_format(tmp_path: Path) -> None:
    trained = [alpaca(f"Question {n}", text(n), "Be kind to everybody.") for n in range(40)]
    tested = [
        {"question": "Question 7", "answer": text(7)},
        {"question": "Question 300", "answer": text(300)},
        {"question": " Question  9", "answer": f"{text(9)}\n"},
        {"question": "Question 11", "answer": changed(text(11), 50)},
        {"question": "Question 12", "answer": changed(text(12), 3)},
    ]
    a = dataset(tmp_path, "train", batch(trained))
    b = dataset(tmp_path, "test", batch(tested, source="questions.csv"), layouts=QUESTIONS)
    found = leaks(a, b)
    assert (found.rows_a, found.rows_b) == (40, 5)
    assert [(match.a, match.b) for match in found.exact] == [(7, 0), (9, 2)]
    assert [(match.a, match.b) for match in found.near] == [(11, 3)]
    assert (found.leaked_exact, found.leaked_near) == (2, 1)
    assert 0.8 <= found.near[0].similarity < 1
    assert Leaks.model_validate_json(found.model_dump_json()) == found


def test_the_two_parts_of_one_version_are_compared(tmp_path: Path) -> None:
    values = [alpaca("Say", text(n)) for n in range(20)]
    values[15] = values[3]
    values[16] = alpaca("Say", changed(text(8), 50))
    unusable = {4: ("empty", {"field": "output"})}
    rows = dataset(tmp_path, "own", batch(values, problems=unusable, held_out=range(14, 20)))
    found = leaks(Side(rows, "train"), Side(rows, "held_out"))
    assert (found.rows_a, found.rows_b) == (13, 6)
    assert [(match.a, match.b) for match in found.exact] == [(3, 15)]
    assert [(match.a, match.b) for match in found.near] == [(8, 16)]


def test_every_leaked_row_counts_and_the_threshold_decides(tmp_path: Path) -> None:
    a = dataset(tmp_path, "a", batch([alpaca("Say", text(1)), alpaca("Say", text(2))]))
    like = [alpaca("Say", changed(text(1), every)) for every in (50, 20, 7)]
    b = dataset(tmp_path, "b", batch([alpaca("Say", text(1))] * 3 + like))
    loose, strict = leaks(a, b, threshold=0.5), leaks(a, b, threshold=1.0)
    assert loose.leaked_exact == strict.leaked_exact == 3
    assert strict.leaked_near == 0
    similarities = [match.similarity for match in loose.near]
    assert similarities == sorted(similarities, reverse=True)
    assert [match.b for match in loose.near] == [3, 4]


def test_sets_without_a_row_in_common_or_without_rows_are_no_leak(tmp_path: Path) -> None:
    a = dataset(tmp_path, "a", batch([alpaca("Say", text(n)) for n in range(5)]))
    b = dataset(tmp_path, "b", batch([alpaca("Say", text(n)) for n in range(50, 55)]))
    assert leaks(a, b).leaked_exact == leaks(a, b).leaked_near == 0
    nothing = leaks(a, Side(b, "held_out"))
    assert (nothing.rows_a, nothing.rows_b, nothing.exact) == (5, 0, [])
    assert leaks(Side(b, "held_out"), a).rows_a == 0
