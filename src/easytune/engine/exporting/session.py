"""What an exporter works with: the order, the folder it writes to, the trained model."""

import gc
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easytune import paths
from easytune.engine.exporting.progress import ByteProgress
from easytune.engine.reporting import Reporter
from easytune.engine.stopping import StopAsked, StopSignal
from easytune.events import Compared
from easytune.export_files import ExportFolder, ExportOrder

if TYPE_CHECKING:
    from easytune.engine.exporting.shards import Written
    from easytune.engine.exporting.trained import Trained


class Session:
    """One export while it is worked on."""

    def __init__(
        self, order: ExportOrder, folder: ExportFolder, report: Reporter, stop: StopSignal
    ) -> None:
        self.order, self.folder, self.report, self.stop = order, folder, report, stop
        self.home: Path = folder.path.parent.parent
        self.work: Path = folder.part
        """Where the artefact is written; renamed only after the gate has passed."""
        self.scratch: Path = folder.scratch
        """For what is only needed on the way; it is gone when the job ends."""
        self.notes: list[str] = []
        """Codes of what was noted, for the certificate."""
        self.hashes: dict[str, str] = {}
        """SHA-256 by path below `work`, of files that were hashed while they were written."""
        self.kept: tuple[str, ...] = ()
        """Paths below `work` of files that were taken over from an interrupted export."""
        self._progress = ByteProgress(report)
        self._trained: Trained | None = None
        self._adapter: tuple[Path, float] | None = None

    @property
    def before(self) -> Path | None:
        """Return `out/part` of the killed export that this one goes on from; None without one.

        Files in it may be taken over whose manifest tells the hash that they have.
        """
        if not self.order.continues:
            return None
        found = ExportFolder(paths.exports(self.home) / self.order.continues).part
        return found if found.is_dir() else None

    def phase(self, name: str) -> None:
        """Say what is done now; counting bytes begins anew. Texts are `cli.phase.<name>`."""
        self.check_stop()
        self._progress = ByteProgress(self.report)
        self.report.phase(name)

    def written(self, found: "Written") -> None:
        """Note the files of a model that have been written into `work`."""
        self.hashes |= found.hashes
        self.kept = found.kept

    def bytes_done(self, done: int, total: int) -> None:
        """Say how much of the phase is done. Raises StopAsked when the user wants it to end."""
        self.check_stop()
        self._progress.tell(done, total)

    def note(self, code: str, **values: Any) -> None:
        """Tell the user something that does not stop the export; text `notice.<code>`."""
        if code not in self.notes:
            self.notes.append(code)
            self.report.notice(code, **values)

    def prompts_done(self, done: int, total: int) -> None:
        """Say how far comparing is. Raises StopAsked when the user wants it to end."""
        self.check_stop()
        self.report(Compared(done=done, total=total))

    def check_stop(self) -> None:
        """Raise StopAsked when the user wants the job to end."""
        if self.stop.asked():
            raise StopAsked

    def adapter(self) -> Path | None:
        """Return the folder of the one adapter that `config.what` asks for; None for whole models.

        It is the source's own, or one in `scratch` at another strength or merged of several.
        Raises EasyTuneError where that cannot be.
        """
        if not self.order.sources[0].is_adapter:
            return None
        return self._chosen()[0]

    @property
    def strength(self) -> float:
        """Return the strength at which `adapter` is still to be applied.

        It is 1 but for an adapter whose strength its own files cannot tell, such as DoRA. Raises
        as `adapter`.
        """
        return self._chosen()[1] if self.order.sources[0].is_adapter else 1.0

    def trained(self) -> "Trained":
        """Return the model that the export must equal, in memory; loaded once, kept until `close`.

        Raises EasyTuneError when it cannot be loaded.
        """
        if self._trained is None:
            from easytune.engine.exporting import trained

            self._trained = trained.load(self.order, self.adapter(), self.strength)
        return self._trained

    def unload(self) -> None:
        """Give the memory of the trained model back."""
        if self._trained is not None:
            self._trained.close()
            self._trained = None
            gc.collect()

    def close(self) -> None:
        """Give back memory and scratch space."""
        self.unload()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _chosen(self) -> tuple[Path, float]:
        if self._adapter is None:
            from easytune.engine.arithmetic import chosen

            self._adapter = chosen.one(self.order, self.scratch)
        return self._adapter
