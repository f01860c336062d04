"""Sessions on the comparisons of the database, for the services that keep something in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from easytune.services.store import Store

if TYPE_CHECKING:
    from easytune.services.comparison_rows import ComparisonRows


class ComparisonArchive:
    """Where comparisons are kept. SQLAlchemy is loaded by the first session, not before."""

    def __init__(self, store: Store) -> None:
        """Keep comparisons in `store`."""
        self._store = store

    @contextmanager
    def reading(self) -> Iterator["ComparisonRows"]:
        """Give the comparisons as they are now."""
        with self._store.read() as session:
            from easytune.services.comparison_rows import ComparisonRows

            yield ComparisonRows(session)

    @contextmanager
    def writing(self) -> Iterator["ComparisonRows"]:
        """Give the comparisons to change: all of it is kept, or nothing if it raises."""
        with self._store.write() as session:
            from easytune.services.comparison_rows import ComparisonRows

            yield ComparisonRows(session)
