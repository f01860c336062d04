"""Where a version comes from: export, adapter, run, dataset version, rows; and the base model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from easytune.data.stored import Reference
from easytune.data.versions.library import Library
from easytune.dataset_errors import DatasetUnknown, VersionUnknown
from easytune.errors import EasyTuneError, RunMissing
from easytune.services.catalogue import Catalogue
from easytune.services.registry_entry import Entry, shown_base
from easytune.services.runs import Runs

LinkKind = Literal["export", "import", "checkpoint", "run", "adapter", "dataset", "file", "base"]


@dataclass(frozen=True)
class Link:
    """One link of the chain."""

    kind: LinkKind
    id: str
    """What opens it: a run, `<dataset>@<version>`, a model of the catalogue."""
    title: str
    is_here: bool
    """Whether it is still on this machine."""
    rows: int | None = None
    fingerprint: str = ""
    was: str = ""
    """The fingerprint that was recorded, where that is another one now."""
    step: int | None = None


class Tracer:
    """Follows versions back to rows."""

    def __init__(self, home: Path, runs: Runs, catalogue: Catalogue) -> None:
        """Look at what is in `home`."""
        self._runs, self._catalogue, self._library = runs, catalogue, Library(home)

    def trace(self, entry: Entry) -> list[Link]:
        """Return the chain, from the version itself back to rows; the base model comes last."""
        facts = entry.facts
        chain: list[Link] = []
        if facts.kind in ("export", "import"):
            kind: LinkKind = "export" if facts.kind == "export" else "import"
            chain.append(Link(kind, entry.key, entry.ref, True))
            chain += [self._source(name) for name in facts.sources if name != facts.run]
        if facts.step is not None and facts.run is not None:
            title = f"{facts.run}@{facts.step}"
            chain.append(Link("checkpoint", title, title, True, step=facts.step))
        chain += self._runs_back(facts.run)
        chain += self._datasets(entry)
        return [*chain, self._base(entry)] if facts.base else chain

    def _source(self, name: str) -> Link:
        """Return a model that an export was made from."""
        known = {model.id: model for model in self._catalogue.list()}
        found = known.get(name)
        kind: LinkKind = "adapter" if found is None or found.is_adapter else "base"
        return Link(kind, name, found.title if found else name, found is not None)

    def _runs_back(self, run: str | None) -> list[Link]:
        """Return a run and those that it goes on from."""
        chain: list[Link] = []
        while run is not None and run not in [link.id for link in chain]:
            try:
                order = self._runs.order(run)
            except RunMissing:
                return [*chain, Link("run", run, run, False)]
            chain.append(Link("run", run, run, True))
            run = order.continues or _run_of(order.config.model.adapter)
        return chain

    def _datasets(self, entry: Entry) -> list[Link]:
        used = {f"{one.dataset}@{one.number}": one for one in entry.facts.used}
        links = [
            self._version(Reference(one.dataset, one.number), one.rows, one.fingerprint)
            for one in used.values()
        ]
        for name in entry.facts.datasets:
            reference = Reference.parse(name)
            if reference is None:
                title = Path(name.partition("#")[0]).name if Path(name).is_absolute() else name
                links.append(Link("file", name, title, _is_here(name)))
            elif f"{reference.id}@{reference.number}" not in used:
                links.append(self._version(reference, None, ""))
        return links

    def _version(self, reference: Reference, rows: int | None, recorded: str) -> Link:
        name = f"{reference.id}@{reference.number}" if reference.number else reference.id
        try:
            found = self._library.version(reference.id, reference.number)
            title = self._library.get(reference.id).title
        except (DatasetUnknown, VersionUnknown):
            return Link("dataset", name, name, False, rows, recorded)
        title = f"{title} v{found.number}"
        was = recorded if recorded and recorded != found.fingerprint else ""
        return Link("dataset", name, title, True, found.rows, found.fingerprint, was)

    def _base(self, entry: Entry) -> Link:
        facts = entry.facts
        name = facts.base
        try:
            if facts.model:
                name = self._catalogue.find(facts.model).base or name
            fingerprint = self._catalogue.fingerprint(name)
        except (EasyTuneError, OSError):
            return Link("base", name, shown_base(name), False, None, facts.base_fingerprint)
        changed = facts.base_fingerprint and facts.base_fingerprint != fingerprint
        was = facts.base_fingerprint if changed else ""
        return Link("base", name, shown_base(name), True, None, fingerprint, was)


def _run_of(adapter: str | None) -> str | None:
    """Return the run that an adapter lies in, by its folder `<run>/out/...`; None for others."""
    parts = Path(adapter).parts if adapter else ()
    return parts[parts.index("out") - 1] if "out" in parts[1:] else None


def _is_here(name: str) -> bool:
    path = Path(name.partition("#")[0])
    return path.exists() if path.is_absolute() else name.startswith("demo/")
