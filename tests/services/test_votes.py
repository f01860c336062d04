import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from easytune.services.comparisons import Column, Comparison, Comparisons
from easytune.services.prompts import Prompt
from easytune.services.questions import Question
from easytune.services.store import Store
from easytune.services.votes import Ballot, Tally, Votes, ballots, wilson
from easytune.wire import Turn
from tests.services.answering import Reply, last_words, stand_in
from tests.services.test_batches import _end

COLUMNS = (Column("a"), Column("b"), Column("c"))


def _answered(
    home: Path,
    prompts: int,
    reply: Callable[[Question], Reply] = last_words,
    columns: tuple[Column, ...] = COLUMNS,
) -> Comparison:
    """Return a batch that ran through."""
    comparisons = Comparisons(Store(home), stand_in(reply)[1])
    batch = comparisons.create(columns, kind="batch")
    turns = [Turn(role="user", content=f"q{number}") for number in range(prompts)]
    comparisons.start_batch(batch.id, [Prompt((turn,)) for turn in turns])
    assert _end(comparisons, batch).state == "finished"
    return comparisons.get(batch.id)


def test_ballots_come_in_an_order_that_repeats_with_sides_in_balance(home: Path) -> None:
    comparison = _answered(home, 9)

    shown = ballots(comparison, seed=3)

    assert shown == ballots(comparison, seed=3) != ballots(comparison, seed=4)
    assert len({(b.position, frozenset((b.left, b.right))) for b in shown}) == len(shown) == 27
    assert [b.position for b in shown] != sorted(b.position for b in shown)
    sides = Counter((ballot.left, ballot.right) for ballot in shown)
    assert all(sides[a, b] in (4, 5) for a in range(3) for b in range(3) if a != b)


def test_every_ballot_is_shown_once_until_all_are_voted_on(home: Path) -> None:
    comparison, votes = _answered(home, 4), Votes(Store(home))
    expected = ballots(comparison, seed=7)

    seen: list[Ballot] = []
    while ballot := votes.next_ballot(comparison.id, seed=7):
        assert votes.tally(comparison.id) == Tally(voted=len(seen), total=12)
        seen.append(ballot)
        votes.cast(comparison.id, ballot.position, ballot.left, ballot.right, "tie")

    assert seen == expected
    assert votes.tally(comparison.id) == Tally(12, 12)


def test_equal_failed_and_empty_answers_are_not_put_to_the_vote(home: Path) -> None:
    replies: dict[tuple[str, str], Reply] = {
        ("b", "q0"): "a says q0",
        ("a", "q1"): ("host_crashed", {"model": "a"}),
        ("b", "q2"): "  ",
    }

    def reply(question: Question) -> Reply:
        key = (question.model, question.messages[-1].content)
        return replies.get(key, last_words(question))

    comparison = _answered(home, 4, reply, COLUMNS[:2])

    assert [ballot.position for ballot in ballots(comparison, seed=1)] == [3]


def test_a_vote_counts_for_the_column_and_not_for_the_side(home: Path) -> None:
    comparison, votes = _answered(home, 6), Votes(Store(home))
    cast = [
        (0, 0, 1, "left"),  # a
        (1, 1, 0, "right"),  # a
        (2, 1, 0, "left"),  # b
        (3, 1, 0, "tie"),
        (4, 0, 1, "both_bad"),
        (5, 2, 1, "left"),  # c
    ]
    for position, left, right, verdict in cast:
        votes.cast(comparison.id, position, left, right, verdict)  # type: ignore[arg-type]
    # Somebody thinks again: it counts once.
    votes.cast(comparison.id, 2, 0, 1, "left")

    ab, bc = votes.pairs(comparison.id)
    assert (ab.a, ab.b, ab.wins_a, ab.wins_b, ab.ties, ab.both_bad) == (0, 1, 3, 0, 1, 1)
    assert ab.rate == pytest.approx(0.8)
    assert 0 < ab.low < 0.8 < ab.high < 1
    assert (bc.a, bc.b, bc.wins_a, bc.wins_b, bc.rate) == (1, 2, 0, 1, 0)
    votes.clear(comparison.id)
    assert votes.pairs(comparison.id) == []


def test_a_vote_on_answers_that_are_not_there_is_refused(home: Path) -> None:
    comparison, votes = _answered(home, 1), Votes(Store(home))

    for position, left, right in ((1, 0, 1), (0, 0, 0), (0, 0, 3), (0, -1, 1)):
        with pytest.raises(ValueError, match="no answers"):
            votes.cast(comparison.id, position, left, right, "left")

    assert votes.pairs(comparison.id) == []


@pytest.mark.parametrize(
    ("rate", "count", "low", "high"),
    # From statsmodels' proportion_confint(..., method="wilson").
    [(0.8, 10, 0.490162, 0.943318), (0.5, 100, 0.403832, 0.596168), (0.0, 5, 0.0, 0.434482)],
)
def test_the_interval_is_wilsons(rate: float, count: int, low: float, high: float) -> None:
    assert wilson(rate, count) == pytest.approx((low, high), abs=1e-5)


def test_votes_become_preference_rows_without_ties(home: Path) -> None:
    comparison, votes = _answered(home, 4), Votes(Store(home))
    votes.cast(comparison.id, 0, 1, 0, "left")
    votes.cast(comparison.id, 1, 1, 2, "right")
    votes.cast(comparison.id, 2, 0, 1, "tie")
    votes.cast(comparison.id, 3, 0, 1, "both_bad")

    rows = [json.loads(line) for line in votes.preferences(comparison.id).splitlines()]

    assert rows == [
        {"prompt": "q0", "chosen": "b says q0", "rejected": "a says q0"},
        {"prompt": "q1", "chosen": "c says q1", "rejected": "b says q1"},
    ]
    assert votes.left_out(comparison.id) == 0


def test_preferences_with_a_system_prompt_are_conversations_throughout(home: Path) -> None:
    columns = (Column("a", system="Be kind."), Column("b", system="Be kind."), Column("c"))
    comparison, votes = _answered(home, 2, columns=columns), Votes(Store(home))
    votes.cast(comparison.id, 0, 0, 1, "left")
    votes.cast(comparison.id, 1, 0, 2, "right")

    same, differing = (json.loads(row) for row in votes.preferences(comparison.id).splitlines())

    question = {"role": "user", "content": "q0"}
    assert same["prompt"] == [{"role": "system", "content": "Be kind."}, question]
    assert same["chosen"] == [{"role": "assistant", "content": "a says q0"}]
    assert same["rejected"] == [{"role": "assistant", "content": "b says q0"}]
    assert differing["prompt"] == [{"role": "user", "content": "q1"}]


def test_answers_to_conversations_that_went_different_ways_are_no_preference(home: Path) -> None:
    comparisons, votes = Comparisons(Store(home), stand_in(last_words)[1]), Votes(Store(home))
    live = comparisons.create(COLUMNS[:2])
    for prompt in ("Hello?", "And then?"):
        with comparisons.ask(live.id, prompt) as turn:
            for _ in turn.updates():
                continue
    for position in (0, 1):
        votes.cast(live.id, position, 0, 1, "left")

    rows = [json.loads(line) for line in votes.preferences(live.id).splitlines()]

    assert [row["prompt"] for row in rows] == ["Hello?"]
    assert votes.left_out(live.id) == 1
