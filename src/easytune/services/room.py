"""Which training run is about to take memory, and how much it still needs."""

from dataclasses import dataclass
from pathlib import Path

import psutil

from easytune import machine, model_files, records
from easytune.errors import EasyTuneError
from easytune.job import JobFolder
from easytune.services import folders, memory
from easytune.shapes import Device

# Once it has made a step, a run has what it needs.
_STEPPED = b'"kind": "step"'
_REACH = 256 * 1024


@dataclass(frozen=True)
class Wanted:
    """A run that waits or starts, and the memory it has yet to take."""

    id: str
    device: Device
    missing_gb: float


class Room:
    """Looks at the runs of a home, whoever started them."""

    def __init__(self, home: Path) -> None:
        """Look at the runs under `home`."""
        self._home = home
        self._stepped: set[str] = set()
        self._needs: dict[str, Wanted | None] = {}

    def wanted(self) -> Wanted | None:
        """Return the run that starts now, or the one that starts next if none is going on.

        Without any, the launch check that is going on.
        """
        unfinished = [f for f in folders.all_folders(self._home) if not f.exit.exists()]
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
        """Tell whether a run is going on."""
        return any(folders.runs_now(folder) for folder in folders.all_folders(self._home))

    def _has_stepped(self, folder: JobFolder) -> bool:
        if folder.id not in self._stepped:
            try:
                with folder.events.open("rb") as events:
                    if _STEPPED not in events.read(_REACH).replace(b'":"', b'": "'):
                        return False
            except OSError:
                return False
            self._stepped.add(folder.id)
        return True

    def _missing(self, folder: JobFolder) -> Wanted | None:
        if folder.id not in self._needs:
            self._needs[folder.id] = self._need(folder)
        need = self._needs[folder.id]
        if need is None:
            return None
        worker = (records.read(folder.process) or {}).get("worker") or {}
        taken = _taken_gb(int(worker.get("pid") or 0)) if need.device == "cpu" else 0.0
        return Wanted(need.id, need.device, max(0.0, need.missing_gb - taken))

    def _need(self, folder: JobFolder) -> Wanted | None:
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


def _taken_gb(pid: int) -> float:
    """Return the memory of a process and of its children: a launch check works in one."""
    try:
        children = psutil.Process(pid).children()
    except psutil.Error:
        return 0.0
    return memory.process_gb(pid) + sum(memory.process_gb(child.pid) for child in children)
