"""What is known of one base model in memory, and of one that was given up."""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from easytune import machine, wire
from easytune.errors import EasyTuneError
from easytune.generation import LoadingSection
from easytune.services import hosts
from easytune.services.catalogue import Model
from easytune.services.hosts import Host
from easytune.shapes import Device

State = Literal["loading", "ready", "answering", "failed"]
Reason = Literal["asked", "idle", "budget", "training"]


@dataclass(frozen=True)
class Unloaded:
    """A model that was given up, why, and the memory that came back."""

    id: str
    title: str
    memory_gb: float
    reason: Reason
    at: datetime


@dataclass(eq=False)
class Slot:
    """One base model, loaded in one way: from the wish to have it to the end of its host."""

    base: Model
    loading: LoadingSection
    phase: str = "importing"
    share: float | None = None
    ready: wire.Ready | None = None
    adapters: tuple[str, ...] = ()
    reported_gb: float = 0.0
    need_gb: float = 0.0
    users: int = 0
    last_used: datetime = field(default_factory=lambda: datetime.now(UTC))
    host: Host | None = None
    problem: EasyTuneError | wire.Refused | None = None
    patient_until: float = float("-inf")
    wanted_by: str | None = None
    settled: threading.Event = field(default_factory=threading.Event)
    """Set once it can answer, or never will."""

    @property
    def state(self) -> State:
        """Return what it does now."""
        if self.problem is not None:
            return "failed"
        if self.ready is None:
            return "loading"
        return "answering" if self.host and self.host.requests else "ready"

    @property
    def is_idle(self) -> bool:
        """Tell whether nobody is being answered, or is about to be."""
        return not self.users and not (self.host and self.host.requests)

    @property
    def device(self) -> Device:
        """Return where its weights are."""
        return machine.device(self.loading.device)

    def memory_gb(self) -> float:
        """Return what it holds now: of the GPU as its host says, else of the machine."""
        if self.host is None or self.host.has_ended:
            return 0.0
        if self.device == "cpu":
            return self.host.memory_gb()
        return self.reported_gb


def failure_of(slot: Slot) -> tuple[str, dict[str, Any]] | None:
    """Return code and values of what went wrong with a slot; None when nothing did."""
    return hosts.told(slot.problem) if slot.problem is not None else None
