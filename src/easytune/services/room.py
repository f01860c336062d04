"""Which run, evaluation or export is about to take memory, and how much it still needs."""

from dataclasses import dataclass
from pathlib import Path

import psutil

from easytune import machine, model_files, records
from easytune.errors import EasyTuneError
from easytune.evaluation_files import EvaluationFolder
from easytune.export_files import ExportFolder
from easytune.generation import LoadingSection
from easytune.inspection_files import InspectionFolder
from easytune.job import JobFolder
from easytune.services import folders, memory
from easytune.shapes import Device

# Once it has made a step, a run has what it needs; an evaluation, once it has answered; an export,
# once it compares.
_STEPPED = (b'"kind": "step"', b'"kind": "answered"', b'"name": "checking"')
_REACH = 256 * 1024


@dataclass(frozen=True)
class Wanted:
    """A job that waits or starts, and the memory it has yet to take."""

    id: str
    device: Device
    missing_gb: float


class Room:
    """Looks at the runs and evaluations of a home, whoever started them."""

    def __init__(self, home: Path) -> None:
        """Look at the jobs under `home`."""
        self._home = home
        self._stepped: set[Path] = set()
        self._needs: dict[Path, Wanted | None] = {}

    def wanted(self) -> Wanted | None:
        """Return the job that starts now, or the one that starts next if none is going on.

        Without any, the launch check that is going on.
        """
        unfinished = [f for f in folders.all_jobs(self._home) if not f.exit.exists()]
        running = [folder for folder in unfinished if folders.runs_now(folder)]
        for folder in running:
            if not self._has_stepped(folder):
                return self._missing(folder)
        if running:
            return None
        waiting = (folder for folder in unfinished if folders.waits(folder))
        # A launch check takes what its run would.
        first = next(waiting, None) or folders.running_check(self._home)
        return self._missing(first) if first else None

    def is_training(self) -> bool:
        """Tell whether a run or an evaluation is going on."""
        return any(folders.runs_now(folder) for folder in folders.all_jobs(self._home))

    def _has_stepped(self, folder: JobFolder) -> bool:
        if folder.path not in self._stepped:
            try:
                with folder.events.open("rb") as events:
                    told = events.read(_REACH).replace(b'":"', b'": "')
                    if not any(kind in told for kind in _STEPPED):
                        return False
            except OSError:
                return False
            self._stepped.add(folder.path)
        return True

    def _missing(self, folder: JobFolder) -> Wanted | None:
        if folder.path not in self._needs:
            self._needs[folder.path] = self._need(folder)
        need = self._needs[folder.path]
        if need is None:
            return None
        worker = (records.read(folder.process) or {}).get("worker") or {}
        taken = _taken_gb(int(worker.get("pid") or 0)) if need.device == "cpu" else 0.0
        return Wanted(need.id, need.device, max(0.0, need.missing_gb - taken))

    def _need(self, folder: JobFolder) -> Wanted | None:
        if isinstance(folder, EvaluationFolder):
            return _to_evaluate(folder)
        if isinstance(folder, ExportFolder):
            return _to_export(folder)
        if isinstance(folder, InspectionFolder):
            return _to_inspect(folder)
        order = folders.job_of(folder)
        if order is None:
            return None
        try:
            base = model_files.resolve(order.config.model, self._home)
        except EasyTuneError:
            return None
        if base is None:
            return None
        where = machine.device(order.config.memory.device)
        return Wanted(folder.id, where, memory.training_gb(order.config, base, self._home))


def _to_evaluate(folder: EvaluationFolder) -> Wanted | None:
    """Return what an evaluation needs: its bases are held one at a time."""
    order = folders.order_of(folder)
    if order is None:
        return None
    loading = order.config.loading
    bases = {Path(candidate.base_folder) for candidate in order.candidates}
    need_gb = max(memory.smallest_gb(base, loading) for base in bases)
    return Wanted(folder.id, machine.device(loading.device), need_gb)


def _to_export(folder: ExportFolder) -> Wanted | None:
    """Return what an export needs: the trained model in memory, to compare with."""
    order = folders.order_of(folder)
    if order is None:
        return None
    need_gb = memory.smallest_gb(Path(order.sources[0].base_folder), LoadingSection())
    return Wanted(folder.id, machine.device("auto"), need_gb)


def _to_inspect(folder: InspectionFolder) -> Wanted | None:
    """Return what the check of an import needs: its base in memory."""
    order = folders.order_of(folder)
    if order is None or order.base is None:
        return None
    need_gb = memory.smallest_gb(Path(order.base.folder), LoadingSection())
    return Wanted(folder.id, machine.device("auto"), need_gb)


def _taken_gb(pid: int) -> float:
    """Return the memory of a process and of its children: a launch check works in one."""
    try:
        children = psutil.Process(pid).children()
    except psutil.Error:
        return 0.0
    return memory.process_gb(pid) + sum(memory.process_gb(child.pid) for child in children)
