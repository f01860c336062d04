"""Comparisons: kept in the database, asked live or as a batch."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from easytune.inference_errors import PromptEmpty, TooManyColumns
from easytune.services import comparison_report
from easytune.services.batches import Batches
from easytune.services.chat import Chat
from easytune.services.comparison import (
    FEWEST_COLUMNS,
    MOST_COLUMNS,
    BatchProgress,
    Column,
    Comparison,
    Entry,
    Kind,
    StoredAnswer,
    Summary,
    history,
    with_unique_labels,
)
from easytune.services.comparison_archive import ComparisonArchive
from easytune.services.comparison_questions import questions_for, with_places
from easytune.services.comparison_scores import column_scores
from easytune.services.live_turn import LiveTurn
from easytune.services.prompts import Prompt
from easytune.services.store import Store
from easytune.wire import Turn

__all__ = [
    "BatchProgress",
    "Column",
    "Comparison",
    "Comparisons",
    "Entry",
    "Kind",
    "LiveTurn",
    "StoredAnswer",
    "Summary",
]

_SCORES_REST = 10
"""While a batch runs, scores are left alone for so many times as long as computing them takes."""


class Comparisons:
    """All comparisons of a home, and the batches that this process runs for them."""

    def __init__(self, store: Store, chat: Chat) -> None:
        """Keep comparisons in `store` and put their prompts to the models of `chat`."""
        self._archive = ComparisonArchive(store)
        self._chat = chat
        self._batches = Batches(self._archive, chat)
        self._scored: dict[str, _Scored] = {}

    def create(self, columns: Sequence[Column], kind: Kind = "live", title: str = "") -> Comparison:
        """Begin a comparison; labels and versions of the columns are filled in.

        Raises TooManyColumns unless there are two to eight, and what `Catalogue.base_of` raises
        for a model that cannot be asked.
        """
        if not FEWEST_COLUMNS <= len(columns) <= MOST_COLUMNS:
            raise TooManyColumns(have=len(columns))
        known = with_unique_labels(tuple(self._described(column) for column in columns))
        comparison = Comparison(uuid.uuid4().hex, title.strip(), kind, datetime.now(UTC), known)
        with self._archive.writing() as rows:
            rows.insert(comparison)
        return comparison

    def get(self, comparison: str) -> Comparison:
        """Return a comparison whole. Raises ComparisonMissing."""
        with self._archive.reading() as rows:
            return rows.load(comparison)

    def import_file(self, path: Path) -> Comparison:
        """Add the comparison of a JSON report, with all its answers, under a new id.

        Raises ImportUnreadable.
        """
        return self.keep(replace(comparison_report.read(path), id=uuid.uuid4().hex))

    def keep(self, comparison: Comparison) -> Comparison:
        """Add a comparison that was made elsewhere, with all its answers."""
        with self._archive.writing() as rows:
            rows.insert(comparison)
        return comparison

    def rename(self, comparison: str, title: str) -> None:
        """Give a comparison another title; an empty one goes back to its first prompt."""
        with self._archive.writing() as rows:
            rows.rename(comparison, title)

    def delete(self, comparison: str) -> None:
        """Delete a comparison with its votes; what is being answered for it is stopped first."""
        for answering in self._chat.answering():
            if answering.owner == _owner(comparison):
                answering.stop()
        if self._batches.progress(comparison).state == "running":
            self._batches.stop(comparison)
        with self._archive.writing() as rows:
            rows.delete(comparison)
        self._scored.pop(comparison, None)

    def histories(self, comparison: str) -> tuple[tuple[Turn, ...], ...]:
        """Return what each column was asked and said so far, without system prompts."""
        whole = self.get(comparison)
        return tuple(history(whole, place) for place in range(len(whole.columns)))

    def ask(self, comparison: str, prompt: str) -> LiveTurn:
        """Put a prompt to all columns of a live comparison, each with its own history.

        Raises PromptEmpty, ComparisonMissing, and what `Chat.ask` raises; nothing is stored then.
        """
        if not prompt.strip():
            raise PromptEmpty
        whole = self.get(comparison)
        if whole.kind != "live":
            raise ValueError(f"comparison {comparison} is a batch, not a conversation")
        messages = (Turn(role="user", content=prompt),)
        entry = Entry(len(whole.entries), prompt, messages)
        questions = questions_for(whole, entry, range(len(whole.columns)))
        answering = self._chat.ask(questions, owner=_owner(comparison))
        try:
            with self._archive.writing() as rows:
                position = rows.add_entries(comparison, [Prompt(messages)])
        except BaseException:
            answering.close()
            raise
        columns = whole.columns

        def keep(answers: Sequence[StoredAnswer]) -> None:
            placed = with_places(self._chat, columns, answers)
            with self._archive.writing() as rows:
                rows.put_answers(comparison, position, dict(enumerate(placed)))

        return LiveTurn(answering, position, keep)

    def start_batch(self, comparison: str, prompts: Sequence[Prompt]) -> None:
        """Put these prompts to all columns one after the other, in the background.

        Raises PromptEmpty without prompts, and BatchRuns while a batch of this comparison runs.
        """
        self._batches.start(comparison, prompts)

    def batch(self, comparison: str) -> BatchProgress:
        """Return how far a batch is. Cheap: meant for timers. Raises ComparisonMissing."""
        return self._batches.progress(comparison)

    def stop_batch(self, comparison: str) -> None:
        """Stop a batch within a step; what is answered stays. Also one of another server."""
        self._batches.stop(comparison)

    def resume_batch(self, comparison: str) -> None:
        """Go on with answers that are missing, were cut off, or failed for want of a working host.

        Raises BatchRuns while it runs.
        """
        self._batches.resume(comparison)

    def scores(self, comparison: str) -> "list[dict[str, float]]":
        """Return for each column its corpus score by metric, and what it took.

        Besides the metrics (0 to 100, only with references): `answered` (answers with text),
        `tokens`, `tokens_per_second` and `first_token_seconds` (means). While a batch runs they
        may lag behind a little: to compute them anew for every prompt would slow it down.
        """
        with self._archive.reading() as rows:
            row = rows.row(comparison)
            revision, is_running = row.revision, row.batch_state == "running"
            known = self._scored.get(comparison)
            if known and known.is_good_for(revision, is_running):
                return known.columns
            whole = rows.load(comparison)
        began = time.monotonic()
        columns = [column_scores(whole, place) for place in range(len(whole.columns))]
        took = time.monotonic() - began
        self._scored[comparison] = _Scored(revision, began + (1 + _SCORES_REST) * took, columns)
        return columns

    def revision(self, comparison: str) -> int:
        """Return a number that grows with every change, so that a timer can skip the rest."""
        with self._archive.reading() as rows:
            return rows.row(comparison).revision

    def close(self) -> None:
        """Stop the batches of this process; they can be resumed. Call it before `Chat.close`."""
        self._batches.close()

    # Last in the class: after it the name no longer means the builtin that annotations need.
    def list(self, search: str = "", limit: int = 200) -> "list[Summary]":
        """Return the comparisons, newest first, with `search` in title, labels or prompts."""
        with self._archive.reading() as rows:
            return rows.summaries(search, limit)

    def _described(self, column: Column) -> Column:
        """Return a column with a label and the version of the weights it will ask."""
        catalogue = self._chat.catalogue
        model = catalogue.find(column.model)
        base = catalogue.base_of(model, column.base)
        versions = [catalogue.fingerprint(each.id) for each in (model, base) if each.is_here]
        version = "+".join(dict.fromkeys(versions))
        label = column.label.strip() or model.title
        return replace(column, label=label, version=version, base_model=base.id)


@dataclass(frozen=True)
class _Scored:
    revision: int
    rests_until: float
    columns: list[dict[str, float]]

    def is_good_for(self, revision: int, is_running: bool) -> bool:
        is_recent = is_running and time.monotonic() < self.rests_until
        return self.revision == revision or is_recent


def _owner(comparison: str) -> str:
    return f"comparison:{comparison}"
