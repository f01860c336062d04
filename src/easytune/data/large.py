"""A library for the web process: what takes much memory for large versions is done elsewhere."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from easytune.data import apart
from easytune.data.versions.diff import Diff
from easytune.data.versions.edits import Edit
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import VersionFacts

if TYPE_CHECKING:
    from easytune.data.versions.diff import Places

LARGE = 100_000
"""Rows of all versions concerned from which a process of its own is worth its start."""


class LargeLibrary(Library):
    """Does all that `Library` does. Changes and differences may raise TaskLost, too."""

    def is_large(self, dataset: str, number: int | None = None) -> bool:
        """Tell whether a version is worth a process. Raises DatasetUnknown, VersionUnknown."""
        return self.version(dataset, number).rows >= LARGE

    def edit(
        self,
        dataset: str,
        edits: Sequence[Edit],
        number: int | None = None,
        author: str = "",
        note: str = "",
    ) -> VersionFacts:
        """Make a version with changes of another. See `Library.edit`."""
        if not self.is_large(dataset, number):
            return super().edit(dataset, edits, number, author, note)
        return apart.call(Library(self.home).edit, dataset, list(edits), number, author, note)

    def drop_problems(
        self, dataset: str, number: int | None = None, author: str = "", note: str = ""
    ) -> VersionFacts:
        """Make a version without the rows that cannot be used. See `Library.drop_problems`."""
        if not self.is_large(dataset, number):
            return super().drop_problems(dataset, number, author, note)
        return apart.call(Library(self.home).drop_problems, dataset, number, author, note)

    def rollback(self, dataset: str, number: int, author: str = "", note: str = "") -> VersionFacts:
        """Make a new version with the rows of an earlier one. See `Library.rollback`."""
        if not self.is_large(dataset, number):
            return super().rollback(dataset, number, author, note)
        return apart.call(Library(self.home).rollback, dataset, number, author, note)

    def diff(
        self, a: tuple[str, int], b: tuple[str, int], watch: Callable[[], None] = lambda: None
    ) -> Diff:
        """Return what differs between two versions. See `Library.diff`.

        While it takes long, `watch` is called now and then; what it raises ends the work.
        """
        first, second = self.open(*a), self.open(*b)
        if len(first) + len(second) < LARGE:
            return Diff(first, second)
        return Diff(first, second, apart.watched(watch, _places, Library(self.home), a, b))


def _places(library: Library, a: tuple[str, int], b: tuple[str, int]) -> "Places":
    import numpy as np

    kinds, olds, news = library.diff(a, b).places
    return kinds.astype(np.int8), olds.astype(np.int32), news.astype(np.int32)
