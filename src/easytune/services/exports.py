"""The exports of a home: submit, follow, stop, resume, remove. All of it is read from files.

An export is a job like a run, in a folder of its own below `<home>/exports`, and takes its turn
with the runs: see `dispatch`. What all such jobs share is in `job_shelf`.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

from easytune import paths
from easytune.errors import EasyTuneError
from easytune.export import ExportConfig
from easytune.export_errors import (
    ExportActive,
    ExportFileMissing,
    ExportMissing,
    ExportNameTaken,
    ExportUnfinished,
    SourceChanged,
)
from easytune.export_files import CERTIFICATE, Certificate, ExportFolder, ExportOrder, export_name
from easytune.exporters import hub
from easytune.services import export_order, folders
from easytune.services.catalogue import Catalogue
from easytune.services.evidence import State
from easytune.services.export_order import Offer
from easytune.services.export_story import ExportFold, ExportStory
from easytune.services.job_shelf import JobShelf, JobSummary, Kind

ExportSummary = JobSummary[ExportFolder, ExportOrder]
"""One line in the list of exports."""
# What failed or was stopped made nothing that a name could stand for.
_FREES_NAME: frozenset[State] = frozenset({"stopped", "failed", "crashed", "lost"})


class Exports(JobShelf[ExportFolder, ExportOrder, ExportStory]):
    """All exports of one home. Any number of processes may have one; threads may share one."""

    kind = Kind(paths.exports, ExportFolder, ExportMissing, ExportActive)

    def __init__(self, home: Path, catalogue: Catalogue) -> None:
        """Look at the exports under `home`, which need not exist yet."""
        super().__init__(home)
        self._catalogue = catalogue

    def submit(self, config: ExportConfig) -> str:
        """Queue an export and return its id; a `Dispatcher` starts it when its turn comes.

        Raises ExportNameTaken, FolderUnwritable, and what `export_order.compose` raises.
        """
        self._check_name(config.result.name)
        order = export_order.compose(config, self._home, self._catalogue)
        with self._lock:
            order = order.model_copy(update={"name": self._free_name(export_name(order))})
            return self._create(order, order.created)

    def check(self, config: ExportConfig) -> ExportOrder:
        """Return the order that `submit` would queue, without queueing. Raises as `submit`."""
        self._check_name(config.result.name)
        return export_order.compose(config, self._home, self._catalogue)

    def model_card(self, config: ExportConfig) -> str:
        """Return the card that would go to a hub with an export; "" where no model is found."""
        try:
            return hub.preview(export_order.found(config, self._home, self._catalogue))
        except EasyTuneError:
            return ""

    def offers(self, config: ExportConfig) -> list[Offer]:
        """Return every target, each with what stands in its way: see `export_order.offers`."""
        return export_order.offers(config, self._home, self._catalogue)

    def resume(self, export: str) -> str:
        """Queue an export that takes over what one before has written whole; return its id.

        Raises ExportMissing, ExportActive before it has ended, SourceChanged when a model is
        another one now, and what `submit` raises.
        """
        story = self._require_ended(export)
        name = self._chosen_name(self.folder(export)) or story.order.config.result.name
        config = story.order.config.changed(result__name=name)
        self._check_name(name, but=export)
        order = export_order.compose(config, self._home, self._catalogue)
        for before, now in zip(story.order.sources, order.sources, strict=True):
            if before.fingerprint != now.fingerprint:
                raise SourceChanged(before.title)
        went = {"continues": self._with_part(export), "name": story.order.name}
        order = order.model_copy(update=went)
        return self._create(order, order.created)

    def rename(self, job_id: str, name: str) -> None:
        """Call an export otherwise; an empty name gives back its own.

        Raises ExportMissing, ExportNameTaken.
        """
        self._check_name(name, but=job_id)
        super().rename(job_id, name)

    def certificate(self, export: str) -> Certificate:
        """Return what came of an export. Raises ExportMissing, ExportUnfinished."""
        found = self.story(export).certificate
        if found is None:
            raise ExportUnfinished(export)
        return found

    def file(self, export: str, path: str) -> Path:
        """Return where a file of an export lies. Raises ExportMissing, ExportFileMissing.

        Only what the certificate names is given out, whatever `path` looks like.
        """
        certificate = self.story(export).certificate
        listed = {one.path for one in certificate.files} if certificate else set()
        place = self.folder(export).artefact / path
        if path not in listed | {CERTIFICATE} or not place.is_file():
            raise ExportFileMissing(export, path)
        return place

    def of_model(self, model_id: str) -> list[ExportSummary]:
        """Return the exports of a model, newest first."""
        return [
            one
            for one in self.list()
            if any(model_id in (source.id, source.folder) for source in one.order.sources)
        ]

    def _check_name(self, name: str, but: str = "") -> None:
        wanted = " ".join(name.split()).casefold()
        for one in self.list() if wanted else ():
            if one.id != but and one.name.casefold() == wanted and one.state not in _FREES_NAME:
                raise ExportNameTaken(name=one.name)

    def _free_name(self, name: str) -> str:
        """Return a name that no export has, however it ended: this one, or this one numbered."""
        taken = {
            self._name(folder, order).casefold()
            for folder in self._folders()
            if (order := self._known(folder))
        }
        numbered = (f"{name} ({number})" for number in itertools.count(2))
        return next(one for one in itertools.chain([name], numbered) if one.casefold() not in taken)

    def _with_part(self, export: str) -> str:
        """Return the newest export in a chain that left something behind, else the last."""
        seen: list[str] = []
        before: str | None = export
        while before is not None and before not in seen:
            seen.append(before)
            try:
                if self.folder(before).part.is_dir():
                    return before
                before = self.order(before).continues
            except ExportMissing:
                break
        return export

    def _folders(self) -> list[ExportFolder]:
        return folders.export_folders(self._home)

    def _read(self, folder: ExportFolder) -> ExportOrder | None:
        return folders.order_of(folder)

    def _teller(self, folder: ExportFolder, order: ExportOrder) -> Callable[[str], ExportStory]:
        return ExportFold(folder, order).tell

    def _own_name(self, order: ExportOrder) -> str:
        return export_name(order)

    def _text(self, one: ExportSummary) -> str:
        models = (f"{source.title} {source.id}" for source in one.order.sources)
        return " ".join([one.name, one.id, one.order.config.what.target, *models]).casefold()

    def _watched(self, folder: ExportFolder) -> tuple[Path, ...]:
        return (folder.result,)
