"""How rows come into datasets: from files, texts and hubs, and from the app itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from easytune.data import apart
from easytune.data.large import LargeLibrary
from easytune.data.tasks import ImportTask, Mode
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import VersionFacts
from easytune.dataset_errors import NothingToImport
from easytune.errors import FileMissing
from easytune.services import app_rows
from easytune.services.app_rows import Source
from easytune.services.conversations import Conversations
from easytune.services.data_tasks import DataTasks
from easytune.services.uploads import Uploads
from easytune.services.votes import Votes

if TYPE_CHECKING:
    from easytune.data.reading import Probe


class Into(TypedDict, total=False):
    """Where imported rows go: into a new dataset, or a new version of `dataset`.

    `columns` maps the file's columns to the field's names.
    """

    dataset: str | None
    mode: Mode
    columns: dict[str, str]
    author: str
    note: str


class To(TypedDict, total=False):
    """Where collected rows go: to `dataset`, or to a new one called `title`."""

    dataset: str | None
    title: str
    author: str
    note: str


class DatasetImports:
    """The part of `Datasets` that brings rows in."""

    def __init__(self, home: Path) -> None:
        """Bring rows into the datasets of `home`, which need not exist yet."""
        self.library = LargeLibrary(home)
        self.tasks = DataTasks(home)
        self._uploads = Uploads(home)

    def probe(self, paths: Sequence[Path], columns: Mapping[str, str] | None = None) -> "Probe":
        """Return what files seem to hold. Raises what `easytune.data.reading.probe` raises."""
        from easytune.data import reading

        return reading.probe(paths, columns)

    def import_files(self, paths: Sequence[Path], title: str = "", **into: Unpack[Into]) -> str:
        """Begin to import files, folders or archives, and return the task's id.

        Mode "new" makes a dataset called `title` (empty: after the files; a dataset list makes as
        many as it has); "replace" and "append" make a new version of `dataset`. Files in a folder
        that `upload_folder` made are removed afterwards. Raises NothingToImport, FileMissing.
        """
        if not paths:
            raise NothingToImport(path="")
        absolute = [path.expanduser().resolve() for path in paths]
        for path in absolute:
            if not path.exists():
                raise FileMissing(str(path))
        return self._import(
            ImportTask(
                paths=tuple(map(str, absolute)),
                uploads=tuple(map(str, self._uploads.owned(absolute))),
                title=title,
                **into,
            )
        )

    def import_text(self, text: str, title: str = "", **into: Unpack[Into]) -> str:
        """Begin to import pasted text, as `import_files` does. Raises NothingToImport."""
        self._require(into.get("dataset"), into.get("mode", "new"))
        return self.import_files([self.save_text(text)], title or _beginning(text), **into)

    def import_hub(self, name: str, title: str = "", **into: Unpack[Into]) -> str:
        """Begin to import "owner/name[:config][/split]" of the hub, as `import_files` does."""
        if not name.strip():
            raise NothingToImport(path="")
        return self._import(ImportTask(hub=name.strip(), title=title, **into))

    def upload_folder(self) -> Path:
        """Return a new folder for files on their way in.

        An import takes it over and removes it in the end. Call `discard` when the upload breaks
        off; folders whose process has died are swept.
        """
        return self._uploads.new()

    def save_text(self, text: str) -> Path:
        """Write pasted text to a file in a new upload folder, to be probed and imported.

        Raises NothingToImport.
        """
        from easytune.data import reading

        return self._uploads.save(text, reading.ending_of(text))

    def adopt(self, paths: Sequence[Path], inside: str = "") -> list[Path]:
        """Move uploaded files (of Gradio's) into a new upload folder, and return where they are.

        Two files of the same name are kept apart; `inside` names a folder of theirs in it.
        """
        return self._uploads.adopt(paths, inside)

    def discard(self, path: Path) -> None:
        """Remove the upload folder that holds `path`, or is it. Other paths are left alone."""
        self._uploads.discard(path)

    # --- from the app back into data ----------------------------------------

    def from_conversations(
        self, conversations: Conversations, ids: Sequence[str], **to: Unpack[To]
    ) -> VersionFacts:
        """Add conversations that have an answer to a dataset, or make one called `title`.

        Raises NothingToCollect, KindsMixed for a dataset of plain text, ConversationMissing.
        """
        rows = app_rows.of_lines(conversations.export(list(ids), "jsonl"))
        return self._collect("conversations", rows, to)

    def from_votes(self, votes: Votes, comparison: str, **to: Unpack[To]) -> VersionFacts:
        """Add the votes of a comparison as rows with prompt, chosen and rejected.

        Raises NothingToCollect, KindsMixed, ComparisonMissing.
        """
        rows = app_rows.of_lines(votes.preferences(comparison))
        return self._collect("votes", rows, to)

    def from_correction(
        self, messages: Sequence[Mapping[str, Any]], **to: Unpack[To]
    ) -> VersionFacts:
        """Add a conversation (`role`, `content`) whose last answer somebody corrected.

        Raises NothingToCollect, KindsMixed, RowUnfit.
        """
        return self.from_corrections([messages], **to)

    def from_corrections(
        self, conversations: Sequence[Sequence[Mapping[str, Any]]], **to: Unpack[To]
    ) -> VersionFacts:
        """Add several conversations as `from_correction` does one. Raises the same."""
        rows = [app_rows.of_correction(messages) for messages in conversations]
        return self._collect("corrections", rows, to)

    def _import(self, task: ImportTask) -> str:
        self._require(task.dataset, task.mode)
        return self.tasks.start(task)

    def _require(self, dataset: str | None, mode: Mode) -> None:
        """Raise DatasetUnknown now, and not after two gigabytes were read."""
        if mode != "new":
            self.library.version(dataset or "")

    def _collect(self, source: Source, rows: Sequence[Any], to: To) -> VersionFacts:
        dataset = to.get("dataset")
        if dataset is not None and self.library.is_large(dataset):
            here = Library(self.library.home)
            return apart.call(app_rows.collect, here, source, rows, **to)
        return app_rows.collect(self.library, source, rows, **to)


def _beginning(text: str) -> str:
    """Return a title for pasted text: its first words, where these are words."""
    line = text.strip().partition("\n")[0]
    return "" if line[:1] in "[{" else line[:40].rstrip()
