"""The registry of models: every version there is, where it comes from, what people say about it.

Versions are told from files: results of runs, checkpoints that somebody wanted kept, exports that
have passed their gate, and imports. Names, stages, tags, notes and which version is current are
what people add; they are in the database. Any number of processes may have a registry.
"""

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easytune import checkpoints
from easytune.errors import CheckpointInvalid
from easytune.job import JobFolder
from easytune.registry_errors import (
    CheckpointMissing,
    CheckpointsMove,
    EntryInUse,
    EntryMissing,
    EntryNeeded,
    NoCurrentVersion,
    NoEarlierVersion,
)
from easytune.services import folders, registry_listing, registry_scan
from easytune.services.catalogue import Catalogue
from easytune.services.evaluations import Evaluations
from easytune.services.registry_dependents import Dependent, Dependents
from easytune.services.registry_edit import Edit, changes_of, valid_name
from easytune.services.registry_entry import (
    Change,
    Entry,
    Facts,
    Listing,
    Query,
    clean_tags,
    parse_ref,
)
from easytune.services.registry_facts import Reader
from easytune.services.registry_trace import Tracer
from easytune.services.runs import Runs
from easytune.services.store import Store
from easytune.services.trash import Trash, Trashed

if TYPE_CHECKING:
    from easytune.services.registry_hashes import Files, Hashes
    from easytune.services.registry_index import Index
    from easytune.services.registry_rows import Said

_SLICE_S = 0.2
_PAUSE_S = 0.05
_BEGIN_S = 5.0


class Registry:
    """All versions of one home. Threads may share one."""

    def __init__(
        self, home: Path, store: Store, runs: Runs, catalogue: Catalogue, evaluations: Evaluations
    ) -> None:
        """Look at what is in `home`, which need not exist yet."""
        self._home, self._store, self._runs = home, store, runs
        self.trash = Trash(home)
        self.dependents = Dependents(home, runs, catalogue, evaluations)
        self.tracer = Tracer(home, runs, catalogue)
        # So that a name stands for its current version wherever a model can be named.
        catalogue.stands_for, catalogue.named = self.resolve, self.current_models
        self._closing = threading.Event()
        self._reader: threading.Thread | None = None
        self._waiting: threading.Timer | None = None

    # --- reading ------------------------------------------------------------

    def get(self, ref: str) -> Entry:
        """Return a version by id, by `name:v3`, by `name:current`, or the current one of a name.

        Raises EntryMissing, NoCurrentVersion.
        """
        key = self._key(ref)
        facts = self._index.one(key)
        if facts is None:
            raise EntryMissing(ref)
        with self._store.read() as session:
            rows = self._rows(session)
            said, current = rows.one(key), rows.current()
        if said is None:
            raise EntryMissing(ref)
        return _entry(facts, said, current)

    def resolve(self, ref: str) -> str | None:
        """Return the id in the catalogue that `name:v3`, `name:current` or a name stands for now.

        None where it stands for nothing.
        """
        try:
            return self.get(ref).facts.model or None
        except (EntryMissing, NoCurrentVersion):
            return None

    def current_models(self) -> dict[str, str]:
        """Return name -> id in the catalogue of its current version, of the names that have one."""
        with self._store.read() as session:
            current = self._rows(session).current()
        found = {name: self._index.one(key) for name, key in current.items()}
        return {name: facts.model for name, facts in found.items() if facts and facts.model}

    def history(self, ref: str) -> list[Change]:
        """Return what was changed of a version and of what is current of its name, latest first.

        Raises EntryMissing.
        """
        entry = self.get(ref)
        with self._store.read() as session:
            return self._rows(session).history(entry.key, entry.name)

    def files(self, ref: str) -> "Files":
        """Return a version's files; hashes that are still computed are "". Raises EntryMissing."""
        return self._hashes.files(self.get(ref).facts)

    def verify(self, ref: str) -> "Files":
        """Compute all hashes of a version anew. Raises EntryMissing, FileNotFoundError."""
        return self._hashes.verify(self.get(ref).facts)

    def needs(self, ref: str) -> list[Dependent]:
        """Return what depends on a version, what goes on now first. Raises EntryMissing."""
        return self.dependents.of(self.get(ref))

    def kept_steps(self, run_id: str) -> set[int]:
        """Return the steps of a run's checkpoints that are versions."""
        with self._store.read() as session:
            keys = self._rows(session).checkpoints()
        begins = f"{registry_scan.CHECKPOINT}{run_id}@"
        return {int(key.removeprefix(begins)) for key in keys if key.startswith(begins)}

    # --- changing -----------------------------------------------------------

    def edit(self, ref: str, edit: Edit, who: str = "", revision: int | None = None) -> Entry:
        """Change what people say about a version; every change is kept in its history.

        Raises EntryMissing, EntryNameInvalid, EntryChanged when `revision` is given and another
        change came in between.
        """
        entry, changes = self.get(ref), changes_of(edit)
        with self._store.write() as session:
            self._rows(session).edit(entry.key, changes, who, revision)
        return self.get(entry.key)

    def tag(self, ref: str, add: Sequence[str], remove: Sequence[str] = (), who: str = "") -> Entry:
        """Add and remove tags, and leave those alone that others set. Raises EntryMissing."""
        entry, gone = self.get(ref), set(clean_tags(tuple(remove)))
        with self._store.write() as session:
            rows = self._rows(session)
            said = rows.one(entry.key)
            tags = [*(said.tags if said else ()), *add]
            kept = [tag for tag in clean_tags(tags) if tag not in gone]
            rows.edit(entry.key, {"tags": kept}, who)
        return self.get(entry.key)

    def keep_checkpoint(self, run_id: str, step: int, who: str = "", name: str = "") -> Entry:
        """Make a checkpoint of a run a version.

        Raises RunMissing, CheckpointMissing, EntryNameInvalid, and CheckpointsMove while the run
        goes on and may still remove it.
        """
        chosen = valid_name(name) if name else ""
        folder = self._runs.folder(run_id)
        if folders.runs_now(folder):
            raise CheckpointsMove(run_id)
        key = f"{registry_scan.CHECKPOINT}{run_id}@{step}"
        try:
            checkpoints.verify(registry_scan.checkpoint_folder(self._home, key))
        except CheckpointInvalid as error:
            raise CheckpointMissing(run_id, step) from error
        facts = self._index.one(key)
        if facts is None:
            raise CheckpointMissing(run_id, step)
        with self._store.write() as session:
            rows = self._rows(session)
            rows.register([facts], who)
            if chosen:
                rows.edit(key, {"name": chosen}, who)
        return self.get(key)

    def set_current(self, ref: str, who: str = "") -> Entry:
        """Make a version the one that its name stands for. Raises EntryMissing."""
        entry = self.get(ref)
        with self._store.write() as session:
            self._rows(session).set_current(entry.key, who)
        return self.get(entry.key)

    def roll_back(self, name: str, who: str = "") -> Entry:
        """Make the version current that was current before the one that is now.

        Raises NoEarlierVersion when there was none that still exists.
        """
        with self._store.read() as session:
            rows = self._rows(session)
            now, earlier = rows.current().get(name), rows.earlier(name)
            here = {key for key in earlier if (said := rows.one(key)) and said.name == name}
        found = next((k for k in earlier if k != now and k in here and self._index.one(k)), None)
        if found is None:
            raise NoEarlierVersion(name)
        with self._store.write() as session:
            self._rows(session).set_current(found, who, "rolled_back")
        return self.get(found)

    def delete(self, ref: str, who: str = "", *, confirmed: bool = False) -> str:
        """Move the files of a version into the trash; return the id of what is there.

        Of a run that is all it has made. Raises EntryMissing, EntryInUse while a job or a server
        works with it, EntryNeeded when something depends on it and that was not `confirmed`.
        """
        entry = self.get(ref)
        needs = self.dependents.of(entry)
        if busy := [one for one in needs if one.is_active]:
            raise EntryInUse(entry.ref, busy[0].title)
        if needs and not confirmed:
            raise EntryNeeded(entry.ref, len(needs), ", ".join(one.title for one in needs[:5]))
        folder = registry_scan.place(self._home, entry.key)
        if entry.facts.kind == "run":
            job = JobFolder(folder)
            if folders.runs_now(job):
                raise EntryInUse(entry.ref, entry.facts.run or "")
        try:
            item = self.trash.throw(folder, entry.facts.kind, entry.ref, who, entry.key)
        except FileNotFoundError as error:
            raise EntryMissing(ref) from error
        with self._store.write() as session:
            rows = self._rows(session)
            rows.clear_current(entry.key, who)
            rows.note(entry.key, who, "deleted")
        return item

    def restore(self, item: str, who: str = "") -> Trashed:
        """Put something back from the trash. Raises TrashMissing, TrashPlaceTaken."""
        found = self.trash.restore(item)
        if found.entry:
            with self._store.write() as session:
                rows = self._rows(session)
                if rows.one(found.entry) is not None:
                    rows.note(found.entry, who, "restored")
        return found

    # --- in the background --------------------------------------------------

    def start(self) -> None:
        """Read what is there a while after the app began, before somebody opens the registry."""
        if registry_scan.marks(self._home):
            self._waiting = threading.Timer(_BEGIN_S, self.read_on)
            self._waiting.daemon = True
            self._waiting.start()

    def read_on(self) -> None:
        """Read what is new, and compute its hashes, in the background; returns at once."""
        if self._reader is not None and self._reader.is_alive():
            return
        self._reader = threading.Thread(target=self._read_all, name="registry", daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Stop what goes on in the background."""
        self._closing.set()
        if self._waiting is not None:
            self._waiting.cancel()
        if self._reader is not None:
            self._reader.join(timeout=5)
        if "_hashes" in vars(self):
            self._hashes.close()

    def _read_all(self) -> None:
        pending = 1
        while pending and not self._closing.is_set():
            entries, pending = self._entries(_SLICE_S)
            if not pending:
                self._hashes.ask(self._hashes.unknown([entry.facts for entry in entries]))
            # A page that is waiting for its answer goes first.
            self._closing.wait(_PAUSE_S)

    # --- inside -------------------------------------------------------------

    @cached_property
    def _index(self) -> "Index":
        # Imported on first use: it costs SQLAlchemy.
        from easytune.services.registry_index import Index

        return Index(self._home, self._store, Reader(self._home, self._runs))

    @cached_property
    def _hashes(self) -> "Hashes":
        from easytune.services.registry_hashes import Hashes

        return Hashes(self._store)

    def _rows(self, session: Any) -> Any:
        from easytune.services.registry_rows import RegistryRows

        return RegistryRows(session)

    def _entries(self, patience_s: float) -> tuple[list[Entry], int]:
        with self._store.read() as session:
            rows = self._rows(session)
            said, current = rows.said(), rows.current()
        kept = [key for key in said if key.startswith(registry_scan.CHECKPOINT)]
        found, pending = self._index.look(kept, patience_s)
        if new := [facts for key, facts in found.items() if key not in said]:
            with self._store.write() as session:
                rows = self._rows(session)
                rows.register(new)
                said = rows.said()
        entries = [_entry(facts, said[key], current) for key, facts in found.items()]
        return entries, pending

    def _key(self, ref: str) -> str:
        """Return the key of a version that somebody names."""
        key = self._known_key(ref)
        if key is None:
            # It may have come since the last look.
            self._entries(float("inf"))
            key = self._known_key(ref)
        name, number = parse_ref(ref) or (ref, None)
        if key is None and number is None and self._is_name(name):
            raise NoCurrentVersion(name)
        if key is None:
            raise EntryMissing(ref)
        return key

    def _known_key(self, ref: str) -> str | None:
        with self._store.read() as session:
            rows = self._rows(session)
            if rows.one(ref) is not None:
                return ref
            name, number = parse_ref(ref) or (ref, None)
            return rows.numbered(name, number) if number else rows.current().get(name)

    def _is_name(self, name: str) -> bool:
        with self._store.read() as session:
            return any(one.name == name for one in self._rows(session).said().values())

    # Last in the class: after it the name no longer means the builtin that annotations need.
    def list(self, query: Query | None = None, patience_s: float = float("inf")) -> Listing:
        """Return the versions that a query asks for, with what there is to choose from.

        Folders that have never been read are read for `patience_s`; `Listing.pending` says how
        many are left to `read_on`. Raises DatabaseUnusable.
        """
        entries, pending = self._entries(patience_s)
        return registry_listing.listing(entries, query or Query(), pending)


def attach(home: Path, runs: Runs, catalogue: Catalogue) -> Catalogue:
    """Return the catalogue, which finds models by the names of the registry from now on."""
    Registry(home, Store(home), runs, catalogue, Evaluations(home, runs, catalogue))
    return catalogue


def named_models(home: Path) -> Catalogue:
    """Return the models of a home, which are found by the names of the registry too."""
    runs = Runs(home)
    return attach(home, runs, Catalogue(home, runs))


def _entry(facts: Facts, said: "Said", current: dict[str, str]) -> Entry:
    return Entry(
        facts=facts, name=said.name, number=said.number, stage=said.stage,  # type: ignore[arg-type]
        tags=said.tags, notes=said.notes, author=said.author, revision=said.revision,
        is_current=current.get(said.name) == facts.key,
    )  # fmt: skip
