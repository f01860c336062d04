"""Blind votes: which of two answers is better, without knowing whose they are."""

import json
import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from easytune.services.comparison import Comparison, Entry, StoredAnswer, Vote, asked
from easytune.services.comparison_archive import ComparisonArchive
from easytune.services.store import Store
from easytune.wire import Turn

Verdict = Literal["left", "right", "tie", "both_bad"]
_Z95 = 1.959964


@dataclass(frozen=True)
class Ballot:
    """Two answers to judge: an entry's position, and the columns to show left and right."""

    position: int
    left: int
    right: int


@dataclass(frozen=True)
class Tally:
    """How far the voting is."""

    voted: int
    total: int
    """Ballots there are: pairs of columns times the prompts they answered differently."""


@dataclass(frozen=True)
class Pair:
    """The votes between columns `a` and `b` (a < b), and how often `a` wins."""

    a: int
    b: int
    wins_a: int
    wins_b: int
    ties: int
    both_bad: int
    rate: float
    """Share of votes that `a` wins, ties and "both bad" as half a win, 0 to 1."""
    low: float
    high: float
    """The 95% interval of `rate`, as `wilson` has it."""


class Votes:
    """All votes of a home. Every method that names a comparison raises ComparisonMissing."""

    def __init__(self, store: Store) -> None:
        """Keep votes in `store`."""
        self._archive = ComparisonArchive(store)

    def cast(self, comparison: str, position: int, left: int, right: int, verdict: Verdict) -> None:
        """Record which of the columns shown left and right was better for an entry.

        A second vote on the same two answers replaces the first. Raises ValueError for columns or
        an entry that the comparison does not have.
        """
        with self._archive.writing() as rows:
            whole = rows.load(comparison)
            entry = next((each for each in whole.entries if each.position == position), None)
            if (
                entry is None
                or left == right
                or not {left, right} <= set(range(len(whole.columns)))
            ):
                raise ValueError(f"no answers to vote on: {position}, {left}, {right}")
            rows.put_vote(comparison, _vote(position, left, right, verdict))

    def next_ballot(self, comparison: str, seed: int) -> Ballot | None:
        """Return the next two answers to judge; None when all are voted on.

        The order is random and repeats with `seed`; every column of a pair is shown left as often
        as right (give or take one). Entries where the two answers are equal, or one of them
        failed, was stopped or is missing, are left out.
        """
        whole, votes = self._with_votes(comparison)
        voted = {(vote.position, vote.a, vote.b) for vote in votes}
        open_ballots = (b for b in ballots(whole, seed) if _key(b) not in voted)
        return next(open_ballots, None)

    def tally(self, comparison: str) -> Tally:
        """Return how many ballots there are and how many are voted on."""
        whole, votes = self._with_votes(comparison)
        voted = {(vote.position, vote.a, vote.b) for vote in votes}
        there = {_key(ballot) for ballot in ballots(whole, 0)}
        return Tally(len(there & voted), len(there))

    def pairs(self, comparison: str) -> list[Pair]:
        """Return the result for every pair of columns that has votes."""
        _, votes = self._with_votes(comparison)
        counted = Counter((vote.a, vote.b, vote.verdict) for vote in votes)
        known = sorted({(vote.a, vote.b) for vote in votes})
        return [
            _pair(a, b, *(counted[a, b, verdict] for verdict in ("a", "b", "tie", "both_bad")))
            for a, b in known
        ]

    def preferences(self, comparison: str) -> str:
        """Return the votes as preference data: JSON lines with prompt, chosen and rejected.

        The two shapes TRL reads: plain text where every prompt is a single question, and else
        lists of messages throughout, since one file cannot mix them: `prompt` all that was asked,
        with a system prompt that both columns had; `chosen` and `rejected` one answer each.
        Ties and "both bad" prefer nothing and give no row. Neither do answers to conversations
        that had gone different ways: see `left_out`.
        """
        rows = [row for row in self._preferences(comparison) if row is not None]
        is_plain = all(len(row.prompt) == 1 for row in rows)
        return "".join(
            json.dumps(row.plain() if is_plain else row.conversational(), ensure_ascii=False) + "\n"
            for row in rows
        )

    def left_out(self, comparison: str) -> int:
        """Return how many votes for one side give no preference row.

        Later turns of columns whose conversations differ: the rejected answer replies to another
        conversation than the chosen one.
        """
        return sum(row is None for row in self._preferences(comparison))

    def clear(self, comparison: str) -> None:
        """Forget all votes of a comparison."""
        with self._archive.writing() as rows:
            rows.clear_votes(comparison)

    def _with_votes(self, comparison: str) -> tuple[Comparison, list[Vote]]:
        with self._archive.reading() as rows:
            return rows.load(comparison), rows.votes(comparison)

    def _preferences(self, comparison: str) -> Iterator["_Preference | None"]:
        whole, votes = self._with_votes(comparison)
        entries = {entry.position: entry for entry in whole.entries}
        for vote in votes:
            if vote.verdict in ("a", "b"):
                better, worse = (vote.a, vote.b) if vote.verdict == "a" else (vote.b, vote.a)
                yield _preference(whole, entries[vote.position], better, worse)


def ballots(comparison: Comparison, seed: int) -> list[Ballot]:
    """Return every pair of answers that can be judged, in a random order that repeats by `seed`."""
    order = random.Random(seed)
    found: list[Ballot] = []
    for a, b in combinations(range(len(comparison.columns)), 2):
        positions = [e.position for e in comparison.entries if _can_be_judged(e, a, b)]
        order.shuffle(positions)
        swapped = order.random() < 0.5
        for number, position in enumerate(positions):
            # Every other one, so that no column has more of a side than the other.
            is_swapped = swapped != bool(number % 2)
            found.append(Ballot(position, b, a) if is_swapped else Ballot(position, a, b))
    order.shuffle(found)
    return found


def wilson(rate: float, votes: int) -> tuple[float, float]:
    """Return the 95% interval of a share of `votes`, 0 to 1.

    The score interval of E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", Journal of the American Statistical Association 22 (1927), 209-212:
    (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n), with z = 1.96. Half wins vary less than
    whole ones, so with ties it is rather too wide than too narrow.
    """
    if votes == 0:
        return 0.0, 1.0
    spread = _Z95**2 / votes
    middle = (rate + spread / 2) / (1 + spread)
    half = _Z95 / (1 + spread) * math.sqrt(rate * (1 - rate) / votes + spread / (4 * votes))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class _Preference:
    prompt: tuple[Turn, ...]
    chosen: str
    rejected: str

    def plain(self) -> dict[str, Any]:
        prompt = self.prompt[-1].content
        return {"prompt": prompt, "chosen": self.chosen, "rejected": self.rejected}

    def conversational(self) -> dict[str, Any]:
        return {
            "prompt": [turn.model_dump() for turn in self.prompt],
            "chosen": [{"role": "assistant", "content": self.chosen}],
            "rejected": [{"role": "assistant", "content": self.rejected}],
        }


def _preference(
    comparison: Comparison, entry: Entry, better: int, worse: int
) -> _Preference | None:
    prompt, other = asked(comparison, entry, better), asked(comparison, entry, worse)
    if prompt != other:
        # Different instructions are what was compared: the question itself is what they share.
        prompt, other = (_without_system(turns) for turns in (prompt, other))
    chosen, rejected = entry.answers[better], entry.answers[worse]
    if prompt != other or chosen is None or rejected is None:
        return None
    return _Preference(prompt, chosen.text, rejected.text)


def _without_system(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    return tuple(turn for turn in turns if turn.role != "system")


def _can_be_judged(entry: Entry, a: int, b: int) -> bool:
    first, second = entry.answers[a], entry.answers[b]
    if not (_is_whole(first) and _is_whole(second)):
        return False
    return first is not None and second is not None and first.text.strip() != second.text.strip()


def _is_whole(answer: StoredAnswer | None) -> bool:
    return answer is not None and answer.reason in ("stop", "length") and bool(answer.text.strip())


def _vote(position: int, left: int, right: int, verdict: Verdict) -> Vote:
    a, b = sorted((left, right))
    match verdict:
        case "left":
            return Vote(position, a, b, "a" if left == a else "b", left)
        case "right":
            return Vote(position, a, b, "a" if right == a else "b", left)
        case "tie" | "both_bad":
            return Vote(position, a, b, verdict, left)


def _pair(a: int, b: int, wins_a: int, wins_b: int, ties: int, both_bad: int) -> Pair:
    votes = wins_a + wins_b + ties + both_bad
    rate = (wins_a + (ties + both_bad) / 2) / votes
    return Pair(a, b, wins_a, wins_b, ties, both_bad, rate, *wilson(rate, votes))


def _key(ballot: Ballot) -> tuple[int, int, int]:
    return ballot.position, min(ballot.left, ballot.right), max(ballot.left, ballot.right)
