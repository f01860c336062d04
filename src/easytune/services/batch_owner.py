"""Who works on a batch: a process of this machine, and a service in it."""

import os
import uuid
from dataclasses import dataclass
from typing import Self

from easytune.services import processes
from easytune.services.processes import Identity


@dataclass(frozen=True)
class Owner:
    """One service of one process since one start of the machine."""

    boot: str
    process: Identity
    service: str

    @classmethod
    def here(cls) -> Self:
        """Return a new owner in this process."""
        pid = os.getpid()
        process = processes.identify(pid) or Identity(pid, "")
        return cls(processes.boot_id(), process, uuid.uuid4().hex)

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the owner that `str` made this text of."""
        boot, pid, started, service = text.split("|")
        return cls(boot, Identity(int(pid), started), service)

    def is_alive(self) -> bool:
        """Tell whether the process still runs."""
        return self.boot == processes.boot_id() and processes.is_alive(self.process)

    def __str__(self) -> str:
        return "|".join((self.boot, str(self.process.pid), self.process.started, self.service))
