"""Conversations, votes and corrected answers as rows of a dataset."""

from pathlib import Path
from typing import Any

import pytest

from easytune.data.versions.manifest import Collected
from easytune.dataset_errors import (
    NothingToCollect,
    RowUnfit,
)
from easytune.services.conversations import Conversations, Message
from easytune.services.datasets import Datasets
from easytune.services.store import Store
from easytune.services.votes import Votes
from tests.services.made_datasets import make_dataset
from tests.services.test_votes import _answered as answered


def test_conversations_become_rows_once(home: Path, datasets: Datasets) -> None:
    conversations = Conversations(Store(home))
    talk = conversations.create(system="Be brief.")
    # A line separator is one character of a row, not the end of one.
    said = Message("user", "Hi\u2028there"), Message("assistant", "Hello.")
    conversations.append(talk.id, *said)
    silent = conversations.create()

    made = datasets.from_conversations(conversations, [talk.id, silent.id], title="Talks")

    assert (made.dataset, made.rows, made.problems) == ("talks", 1, 0)
    assert isinstance(made.origin, Collected)
    assert (made.origin.source, made.origin.count) == ("conversations", 1)
    [row] = datasets.library.open("talks").page(0, 9)
    assert [turn["content"] for turn in row.value["messages"]] == [
        "Be brief.", "Hi\u2028there", "Hello.",
    ]  # fmt: skip
    with pytest.raises(NothingToCollect):
        datasets.from_conversations(conversations, [talk.id], dataset="talks")


def test_votes_become_preference_rows(home: Path, datasets: Datasets) -> None:
    comparison, votes = answered(home, 2), Votes(Store(home))
    votes.cast(comparison.id, 0, 0, 1, "left")
    votes.cast(comparison.id, 1, 0, 1, "tie")

    made = datasets.from_votes(votes, comparison.id, title="Preferred")

    assert (made.rows, made.problems) == (1, 0)
    [row] = datasets.library.open("preferred").page(0, 9)
    assert row.value == {"prompt": "q0", "chosen": "a says q0", "rejected": "b says q0"}
    with pytest.raises(NothingToCollect):
        datasets.from_votes(votes, comparison.id, dataset="preferred")


def test_a_corrected_answer_is_added_behind_the_rows_of_amake_dataset(datasets: Datasets) -> None:
    dataset = make_dataset(datasets, "a")
    asked: dict[str, Any] = {"role": "user", "content": "Two and two?"}

    made = datasets.from_correction([asked, {"role": "assistant", "content": "4"}], dataset=dataset)

    assert (made.number, made.rows, made.problems) == (2, 2, 0)
    last = datasets.library.open(dataset).row(1)
    assert last.value["messages"][-1] == {"role": "assistant", "content": "4"}
    with pytest.raises(RowUnfit):
        datasets.from_correction([asked], dataset=dataset)
