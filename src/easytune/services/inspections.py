"""Adapters and models from elsewhere: taken in, checked, then imported or discarded.

The files are checked at once, in a locked-down child and before anything of them is loaded. What
they do not refuse is a job like a run: it loads the import beside the base that the user chose, and
compares both. Only somebody's decision then makes a model of it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from easytune import events, job, model_files, paths, records, settings
from easytune.events import Finished
from easytune.inspecting import outside
from easytune.inspection_errors import (
    ImportDecided,
    ImportRefused,
    ImportWarned,
    InspectionActive,
    InspectionMissing,
    NothingToConvert,
)
from easytune.inspection_files import (
    IMPORT_RECORD,
    MODEL,
    ImportRecord,
    Inspection,
    InspectionFolder,
    InspectionOrder,
    Pinned,
    StaticReport,
)
from easytune.services import folders
from easytune.services.catalogue import Catalogue
from easytune.services.inspection_story import InspectionFold, InspectionStory
from easytune.services.job_shelf import JobShelf, JobSummary, Kind
from easytune.services.quarantine import Quarantine

InspectionSummary = JobSummary[InspectionFolder, InspectionOrder]
"""One line in the list of checks."""
_MOST_PEERS = 3


class Inspections(JobShelf[InspectionFolder, InspectionOrder, InspectionStory]):
    """All checks of one home. Any number of processes may have one; threads may share one."""

    kind = Kind(paths.inspections, InspectionFolder, InspectionMissing, InspectionActive)

    def __init__(self, home: Path, catalogue: Catalogue) -> None:
        """Look at the checks under `home`, which need not exist yet."""
        super().__init__(home)
        self._catalogue = catalogue
        self._quarantine = Quarantine(home)

    def submit(
        self,
        sources: Sequence[Path],
        base: str | None,
        *,
        name: str = "",
        convert_pickle: bool = False,
        author: str = "",
    ) -> str:
        """Take in a folder, an archive or several files, check them, and return the check's id.

        What the files refuse ends here, with its reasons; the rest is queued. `base` is the base
        model that the user chose. Raises what `Catalogue.find` raises for it, ImportNothing,
        FolderUnwritable or StorageFull.
        """
        pinned = self._pinned(base) if base else None
        place, upload, noted = self._quarantine.take_in(sources)
        try:
            base_folder = Path(pinned.folder) if pinned else None
            report = outside.check(
                place / MODEL,
                base_folder,
                upload=upload,
                findings=noted,
                own_code=settings.allows_remote_code(self._home),
            )
            order = InspectionOrder(
                name=name.strip() or sources[0].name.partition(".")[0] or sources[0].name,
                source=sources[0].name,
                quarantine=str(place),
                base=pinned,
                convert_pickle=convert_pickle,
                author=author,
                peers=self._peers(pinned, report),
            )
            return self._queue(order, report)
        except BaseException:
            self._quarantine.discard(place)
            raise

    def convert(self, inspection: str) -> str:
        """Check again, with pickled weights converted; return the new check's id.

        Raises InspectionMissing, InspectionActive, NothingToConvert.
        """
        story = self._require_ended(inspection)
        if not story.can_convert:
            raise NothingToConvert(inspection)
        order = story.order.model_copy(update={"convert_pickle": True})
        renewed = InspectionOrder.model_validate(order.model_dump(exclude={"created"}))
        made = self._queue(renewed, story.inspection.static)
        self._decide(inspection, "converting", made)
        return made

    def accept(self, inspection: str, *, warnings: bool = False, who: str = "") -> ImportRecord:
        """Import what was checked; `warnings` says that they are accepted. Return its record.

        Raises InspectionMissing, InspectionActive, ImportDecided, ImportRefused, ImportWarned,
        ImportChanged when a file is another one than was checked, or FolderUnwritable.
        """
        story = self._require_ended(inspection)
        found = story.inspection
        if story.decision:
            raise ImportDecided(inspection)
        if story.verdict == "refused":
            against = [one for one in found.all_findings if one.severity == "critical"]
            raise ImportRefused(story.name, len(against))
        if not story.is_whole:
            raise ImportRefused(story.name, 0)
        if story.verdict == "warnings" and not warnings:
            raised = [one for one in found.all_findings if one.severity in ("high", "medium")]
            raise ImportWarned(story.name, len(raised))
        place = Path(story.order.quarantine)
        self._quarantine.verify(place, found.static.files)
        record = _record(inspection, story, who)
        records.write_text(place / IMPORT_RECORD, record.model_dump_json(indent=1))
        made = self._quarantine.release(place, inspection, found.static.files)
        self._decide(inspection, "imported", made.name)
        return record

    def discard(self, inspection: str) -> None:
        """Remove what was checked; the report stays. Raises InspectionMissing, InspectionActive."""
        story = self._require_ended(inspection)
        if not story.decision:
            self._quarantine.discard(Path(story.order.quarantine))
            self._decide(inspection, "discarded", "")

    def sweep(self) -> None:
        """Remove quarantines that nobody stands for: of processes that were killed."""
        found = [one for one in self._folders() if not one.decision.exists()]
        orders = [order for one in found if (order := self._read(one)) is not None]
        self._quarantine.sweep({order.quarantine for order in orders})

    def delete(self, job_id: str) -> None:
        """Remove a check, and what waits in its quarantine; what was imported stays.

        Raises InspectionMissing, or InspectionActive while it runs.
        """
        order, decided = self.order(job_id), self.folder(job_id).decision.exists()
        super().delete(job_id)
        if not decided:
            self._quarantine.discard(Path(order.quarantine))

    def model(self, record: ImportRecord) -> Path:
        """Return where the files of an import lie."""
        return paths.imports(self._home) / record.id / record.folder

    def _queue(self, order: InspectionOrder, report: StaticReport) -> str:
        """Write the folder of a check; one whose files are refused has ended already."""
        goes_on = report.verdict != "refused" or (order.convert_pickle and report.can_convert)

        def fill(draft: Path) -> None:
            folder = InspectionFolder(draft)
            records.write_text(folder.static, report.model_dump_json())
            if not goes_on:
                folder.out.mkdir()
                whole = Inspection(static=report, base=order.base)
                records.write_text(folder.result, whole.model_dump_json())
                folder.revoked.touch()
                events.append(folder.events, Finished())

        parent = paths.inspections(self._home)
        return job.create_named(parent, order, order.name, order.created, fill).name

    def _decide(self, inspection: str, decision: str, made: str) -> None:
        content = {"decision": decision, "id": made}
        records.write(self.folder(inspection).decision, content)

    def _pinned(self, base: str) -> Pinned:
        found = self._catalogue.base_of(self._catalogue.find(base))
        print_ = model_files.fingerprint(found.folder)
        return Pinned(id=found.id, title=found.title, folder=str(found.folder), fingerprint=print_)

    def _peers(self, base: Pinned | None, report: StaticReport) -> tuple[str, ...]:
        """Return adapters of runs here on the same base, the same rank first of all."""
        if base is None or report.kind != "adapter":
            return ()
        own = [m for m in self._catalogue.list() if m.kind == "adapter" and m.base == base.id]
        alike = [m for m in own if m.run and _rank(m.folder) == report.declared.get("r")]
        return tuple(str(one.folder) for one in alike[:_MOST_PEERS])

    def _folders(self) -> "list[InspectionFolder]":
        return folders.inspection_folders(self._home)

    def _read(self, folder: InspectionFolder) -> InspectionOrder | None:
        return folders.order_of(folder)

    def _teller(
        self, folder: InspectionFolder, order: InspectionOrder
    ) -> Callable[[str], InspectionStory]:
        return InspectionFold(folder, order).tell

    def _own_name(self, order: InspectionOrder) -> str:
        return order.name

    def _text(self, one: InspectionSummary) -> str:
        base = one.order.base.title if one.order.base else ""
        return " ".join([one.name, one.id, one.order.source, base]).casefold()

    def _watched(self, folder: InspectionFolder) -> tuple[Path, ...]:
        return (folder.static, folder.result, folder.decision)


def _record(inspection: str, story: InspectionStory, who: str) -> ImportRecord:
    base, found = story.order.base, story.inspection
    return ImportRecord(
        id=inspection,
        name=story.name,
        kind="adapter" if found.static.kind == "adapter" else "model",
        source=story.order.source,
        base=base.id if base and found.static.kind == "adapter" else "",
        base_title=base.title if base else "",
        base_folder=base.folder if base else "",
        base_fingerprint=base.fingerprint if base and found.static.kind == "adapter" else "",
        verdict=story.verdict,
        findings=found.all_findings,
        files=found.static.files,
        author=who or story.order.author,
    )


def _rank(folder: Path) -> object:
    return (records.read(folder / "adapter_config.json") or {}).get("r")
