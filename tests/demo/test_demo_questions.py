from itertools import islice

from easytune.demo.corpus import conversations
from easytune.demo.questions import split_questions


def test_no_held_out_prompt_is_trained_on() -> None:
    known, held_out = split_questions()

    trained = {question.prompt.lower() for question in known}
    assert not [question.prompt for question in held_out if question.prompt.lower() in trained]


def test_a_held_out_sum_is_trained_on_in_no_phrasing() -> None:
    known, held_out = split_questions()

    sums = {question.answer for question in held_out if question.category == "sums"}
    assert sums
    assert not sums & {question.answer for question in known}


def test_every_fact_asked_in_the_end_was_met_in_another_phrasing() -> None:
    known, held_out = split_questions()

    met = {question.answer for question in known}
    facts = [question for question in held_out if not question.category.startswith("sums")]
    assert [question.prompt for question in facts if question.answer not in met] == []


def test_the_same_seed_writes_the_same_text() -> None:
    known, _ = split_questions()

    first, again, other = (list(islice(conversations(known, seed), 50)) for seed in (3, 3, 4))

    assert first == again
    assert first != other
