"""The base models in memory: one host each, within a budget, the longest unused goes first."""

import logging
import math
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from easytune import machine, model_files, settings, wire
from easytune.config import ModelSection
from easytune.errors import ConfigInvalid, ConfigUnreadable, EasyTuneError, Unexpected
from easytune.generation import LoadingSection
from easytune.inference_errors import MemoryShort
from easytune.services import hosts, memory
from easytune.services.catalogue import Model
from easytune.services.hosts import Cause, Host, Sink
from easytune.services.room import Room
from easytune.services.slots import Reason, Slot, Unloaded
from easytune.settings import InferenceSection
from easytune.wire import Began, Column, Ended, Piece, Queued, Reply

TICK_S = 1.0
_PRESSURE_GB = 0.3
_MINUTE_S = 60.0
_AGAIN_S = 0.2
# After others have loaded, for somebody else's answer to end.
_PATIENCE_S = 5.0
_FAILURES_KEPT = 3

_log = logging.getLogger(__name__)


class Pool:
    """All hosts of this process. Thread-safe."""

    def __init__(
        self, home: Path, changed: Callable[[], None], command: Sequence[str] = hosts.COMMAND
    ) -> None:
        """Hold nothing yet. `changed` is called whenever `slots` would tell something new."""
        self._home, self._changed, self._command = home, changed, command
        self._lock = threading.RLock()
        self._slots: dict[tuple[str, LoadingSection], Slot] = {}
        self._unloaded: deque[Unloaded] = deque(maxlen=20)
        self._room = Room(home)
        # A host ends with the thread that started it, so that thread has to stay.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="host-starter")
        self._closed = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="host-watcher", daemon=True)

    def take(self, base: Model, loading: LoadingSection) -> Slot:
        """Return the slot of a base model, loading it when it is not there.

        Nobody unloads it before `release`, or while a request runs on it. Waits while idle models
        are unloaded for it and others finish loading, not for its own. Raises MemoryShort.
        """
        key = (base.id, loading)
        with self._lock:
            slot = self._slots.get(key)
            is_new = slot is None or slot.problem is not None or self._is_gone(slot)
            if slot is None or is_new:
                self._forget_failures()
                slot = self._slots[key] = Slot(base, loading)
            slot.users += 1
            slot.last_used = datetime.now(UTC)
        self._changed()
        if is_new:
            self._bring_up(key, slot)
        if isinstance(slot.problem, MemoryShort):
            self.release(slot)
            raise slot.problem
        return slot

    def release(self, slot: Slot) -> None:
        """Say that a slot taken before is not needed any more; what runs on it goes on."""
        with self._lock:
            slot.users -= 1
            slot.last_used = datetime.now(UTC)
        self._changed()

    def generate(self, slot: Slot, columns: tuple[Column, ...], sink: Sink) -> str | None:
        """Have the host of a slot answer, see `Host.generate`; None when it is not ready."""
        host = slot.host
        if host is None or slot.ready is None:
            return None

        def heard(reply: Queued | Began | Piece | Ended) -> None:
            if isinstance(reply, Ended):
                slot.last_used = datetime.now(UTC)
            sink(reply)

        request = host.generate(columns, heard)
        self._changed()
        return request

    def forget(self, slot: Slot, request: str) -> None:
        """Hear no more of a request: a host that does not end it must not count as busy."""
        if slot.host is not None:
            slot.host.forget(request)
        self._changed()

    def cancel(self, slot: Slot, request: str, column: int | None = None) -> None:
        """End a request of a slot, or one column of it, within a step."""
        if slot.host is not None:
            slot.host.cancel(request, column)

    def slots(self) -> list[Slot]:
        """Return what is held, the last used first."""
        with self._lock:
            return sorted(self._slots.values(), key=lambda slot: slot.last_used, reverse=True)

    def unload(self, base_id: str) -> None:
        """End all hosts of a base model, whatever they do."""
        with self._lock:
            chosen = [slot for (name, _), slot in self._slots.items() if name == base_id]
        for slot in chosen:
            self._give_up(slot, "asked")

    def unloaded(self) -> tuple[Unloaded, ...]:
        """Return what was given up, the last first."""
        return tuple(reversed(self._unloaded))

    def start(self) -> None:
        """Begin to unload what is idle, and to make room for training runs."""
        self._watcher.start()

    def close(self) -> None:
        """End every host."""
        self._closed.set()
        if self._watcher.is_alive():
            self._watcher.join(5)
        with self._lock:
            left, self._slots = [*self._slots.values()], {}
        closing = [threading.Thread(target=s.host.close) for s in left if s.host is not None]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
        for slot in left:
            slot.settled.set()
        self._starter.shutdown(wait=False, cancel_futures=True)

    def tick(self) -> None:
        """Do once what the watching thread does every second."""
        limits = self._limits()
        for slot in self._idle():
            idle_s = (datetime.now(UTC) - slot.last_used).total_seconds()
            if limits.idle_minutes and idle_s > limits.idle_minutes * _MINUTE_S:
                self._give_up_idle(slot, "idle")
        while self._over_budget(limits) and self._give_up_oldest("budget"):
            pass
        self._make_room()
        for slot in self.slots():
            if slot.host is not None:
                slot.host.trim_log()

    def _watch(self) -> None:
        while not self._closed.wait(TICK_S):
            try:
                self.tick()
            except OSError:
                # A folder deleted meanwhile, a full disk: the next look may go well.
                _log.exception("Models in memory could not be looked after; trying again.")

    # --- loading ---

    def _bring_up(self, key: tuple[str, LoadingSection], slot: Slot) -> None:
        if slot.base.is_here:
            self._start_host(key, slot, slot.base.folder)
        else:
            slot.phase = "downloading"
            threading.Thread(target=self._download, args=(key, slot), daemon=True).start()

    def _download(self, key: tuple[str, LoadingSection], slot: Slot) -> None:
        section = ModelSection(base_model=slot.base.id)
        folder: Path | None = None
        problem: EasyTuneError = Unexpected(reason="the download broke off")
        try:
            folder = model_files.fetch(section, self._home)
        except EasyTuneError as known:
            problem = known
        except OSError as error:
            problem = Unexpected(reason=str(error))
        finally:
            # Also where a library of the hub raises what nobody expects: the page must not wait.
            if folder is None:
                self._settle(slot, problem)
        if folder is not None:
            slot.phase = "importing"
            self._start_host(key, slot, folder)

    def _start_host(self, key: tuple[str, LoadingSection], slot: Slot, folder: Path) -> None:
        """Make room for a slot and start its host, as soon as others that load leave room."""
        try:
            while self._starter.submit(self._open, key, slot, folder).result():
                if self._closed.wait(_AGAIN_S):
                    return
        except CancelledError:
            return

    def _open(self, key: tuple[str, LoadingSection], slot: Slot, folder: Path) -> bool:
        """Make room for a slot and start its host. On the starting thread, one at a time.

        Tells whether to try again: what others that load will take is a guess, and once they
        have answered they can be unloaded.
        """
        if self._slots.get(key) is not slot:
            # Given up while it was downloaded, or while it waited.
            return False
        if any(self._is_loading(other) for other in self.slots()):
            slot.patient_until = time.monotonic() + _PATIENCE_S
        try:
            self._admit(slot, folder)
            limits = settings.load(self._home).inference
            letter = wire.Start(
                folder=str(folder), loading=slot.loading, allow_remote_code=limits.allow_remote_code
            )
            host = Host(
                self._home, slot.base.title, letter, lambda reply: self._hear(slot, reply),
                lambda cause: self._ended(slot, cause), self._command,
            )  # fmt: skip
        except EasyTuneError as problem:
            if isinstance(problem, MemoryShort) and time.monotonic() < slot.patient_until:
                return True
            self._forget(key, slot)
            self._settle(slot, problem)
            return False
        except (OSError, subprocess.SubprocessError) as problem:
            self._settle(slot, Unexpected(reason=str(problem)))
            return False
        with self._lock:
            slot.host = host
            is_wanted = self._slots.get(key) is slot and not self._closed.is_set()
        host.begin()
        if not is_wanted:
            host.close()
        self._changed()
        return False

    def _admit(self, slot: Slot, folder: Path) -> None:
        """Unload idle models until this one fits. Raises MemoryShort."""
        slot.need_gb = memory.model_gb(folder, slot.loading)
        smallest = memory.smallest_gb(folder, slot.loading)
        limits = settings.load(self._home).inference
        while (free := self._free_for(slot, limits)) < slot.need_gb:
            if self._give_up_oldest("budget", slot):
                continue
            if free < smallest:
                slot.need_gb = 0.0
                # To the safe side: "needs 0.6 GB, 0.6 GB are free" would explain nothing.
                need, free = math.ceil(smallest * 10) / 10, math.floor(max(0.0, free) * 10) / 10
                raise MemoryShort(model=slot.base.title, need_gb=need, free_gb=free)
            slot.need_gb = smallest

    def _free_for(self, slot: Slot, limits: InferenceSection) -> float:
        """Return the memory a new model may take: of what is free, and of the budget."""
        others = [each for each in self.slots() if each is not slot]
        same = [each for each in others if each.device == slot.device]
        # What still loads has yet to take what it needs.
        coming = sum(max(0.0, s.need_gb - s.memory_gb()) for s in same if s.state == "loading")
        run = self._room.wanted()
        reserved = run.missing_gb if run and run.device == slot.device else 0.0
        free = machine.free_gb(slot.device) - memory.MARGIN_GB - coming - reserved
        if limits.memory_budget_gb is None:
            return free
        held = sum(max(s.memory_gb(), s.need_gb if s.state == "loading" else 0) for s in others)
        return min(free, limits.memory_budget_gb - held)

    def _hear(self, slot: Slot, reply: Reply) -> None:
        match reply:
            case wire.Loading(phase=phase, share=share):
                slot.phase, slot.share = phase, share
            case wire.Ready():
                slot.reported_gb, slot.ready = reply.memory_gb, reply
                slot.settled.set()
            case wire.State():
                slot.reported_gb, slot.adapters = reply.memory_gb, reply.adapters
        self._changed()

    def _ended(self, slot: Slot, cause: Cause) -> None:
        """Take note of the end of a host, wanted or not."""
        with self._lock:
            slot.problem = slot.problem or cause
            slot.adapters, slot.ready = (), None
        slot.settled.set()
        self._changed()

    def _settle(self, slot: Slot, problem: EasyTuneError) -> None:
        slot.problem = problem
        slot.settled.set()
        self._changed()

    # --- giving up ---

    def _give_up_oldest(self, reason: Reason, but: Slot | None = None) -> bool:
        """Unload the idle model that was not used for longest; tell whether there was one."""
        idle = [s for s in self._idle() if s is not but and s.host and not s.host.has_ended]
        if not idle:
            return False
        self._give_up_idle(idle[-1], reason)
        return True

    def _give_up_idle(self, slot: Slot, reason: Reason) -> None:
        with self._lock:
            if not slot.is_idle:
                return
            self._remove(slot)
        self._give_up(slot, reason)

    def _give_up(self, slot: Slot, reason: Reason) -> None:
        with self._lock:
            self._remove(slot)
        held = slot.memory_gb()
        if slot.host is not None:
            slot.host.close()
        slot.settled.set()
        if held:
            back = held - slot.memory_gb()
            kept = Unloaded(slot.base.id, slot.base.title, back, reason, datetime.now(UTC))
            self._unloaded.append(kept)
        self._changed()

    def _idle(self) -> list[Slot]:
        """Return the slots nobody uses, the last used first."""
        return [slot for slot in self.slots() if slot.is_idle]

    def _over_budget(self, limits: InferenceSection) -> bool:
        if limits.memory_budget_gb is None:
            return False
        return sum(slot.memory_gb() for slot in self.slots()) > limits.memory_budget_gb

    def _make_room(self) -> None:
        """Unload idle models for a run that is about to start, or while memory runs out."""
        run = self._room.wanted()
        for slot in self.slots():
            slot.wanted_by = None
        if run is None:
            if self._room.is_training() and machine.free_gb("cpu") < _PRESSURE_GB:
                self._give_up_oldest("training")
            return
        while run.missing_gb > machine.free_gb(run.device) - memory.MARGIN_GB:
            holders = [slot for slot in self.slots() if slot.device == run.device]
            idle = [slot for slot in holders if slot.is_idle and slot.host is not None]
            if not idle:
                self._offer(holders, run.id)
                return
            self._give_up_idle(idle[-1], "training")

    def _offer(self, holders: list[Slot], run: str) -> None:
        for slot in holders:
            slot.wanted_by = run
        if holders:
            self._changed()

    def _limits(self) -> InferenceSection:
        try:
            return settings.load(self._home).inference
        except (ConfigInvalid, ConfigUnreadable):
            return InferenceSection()

    def _forget_failures(self) -> None:
        """Keep the last failures only: they are shown, and anybody can make more of them."""
        failed = [slot for slot in self.slots() if slot.state == "failed" and slot.is_idle]
        for slot in failed[_FAILURES_KEPT - 1 :]:
            self._remove(slot)

    def _is_loading(self, slot: Slot) -> bool:
        return slot.host is not None and not slot.settled.is_set()

    def _is_gone(self, slot: Slot) -> bool:
        return slot.host is not None and slot.host.has_ended

    def _remove(self, slot: Slot) -> None:
        self._slots = {key: each for key, each in self._slots.items() if each is not slot}

    def _forget(self, key: tuple[str, LoadingSection], slot: Slot) -> None:
        with self._lock:
            if self._slots.get(key) is slot:
                del self._slots[key]
