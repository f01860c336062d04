"""Every model that can be talked to here: base models, adapters, checkpoints, merged models."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from easytune import generation, model_files, paths, settings
from easytune.config import ModelSection
from easytune.errors import (
    AdapterMismatch,
    EasyTuneError,
    ModelIncomplete,
    ModelMissing,
)
from easytune.generation import SamplingSection
from easytune.inference_errors import BaseMissing, ModelUnknown
from easytune.inspection_errors import ImportBaseChanged
from easytune.services import discovery, dressing, pairing
from easytune.services.discovery import Folders, Found, Mark
from easytune.services.evidence import ENDED
from easytune.services.runs import Runs, RunSummary

Kind = Literal["base", "adapter", "checkpoint", "merged"]
KINDS: tuple[Kind, ...] = ("base", "adapter", "checkpoint", "merged")
_FRESH_S = 1.0
_RESOLVED_S = 30.0


@dataclass(frozen=True)
class Model:
    """One model, as found on this machine."""

    id: str
    kind: Kind
    title: str
    """For people: what it is called, and when its run began."""
    folder: Path
    base: str | None
    """Id of the base model of an adapter; None for whole models, and when it is not here."""
    base_name: str
    """The base model as the adapter itself names it; "" for whole models."""
    size_gb: float
    modified: datetime
    run: str | None = None
    step: int | None = None
    problem: EasyTuneError | None = None
    """Why it cannot be used here; None when it can."""
    is_adapter: bool = False
    """Whether it needs a base model: adapters, and checkpoints that are adapters."""
    is_here: bool = True
    """False for a model of the hub that has yet to be downloaded."""
    name: str = ""
    """What its run is called; "" for what no run here has made."""
    began: datetime | None = None
    """When its run began."""


class Catalogue:
    """The models of one home. Cheap to ask: threads may share it, timers may call it."""

    def __init__(self, home: Path, runs: Runs) -> None:
        """Look at the models under `home`, in the hub cache, and at what `runs` have made."""
        self._home = home
        self._runs = runs
        self._folders = Folders()
        self._lock = threading.RLock()
        self._listed: list[Model] = []
        self._listed_at = float("-inf")
        self._resolved: dict[ModelSection, tuple[float, Path | None]] = {}
        self._fits: dict[tuple[Path, Path], tuple[Mark, Mark, EasyTuneError | None]] = {}
        self._prints: dict[Path, tuple[Mark, str]] = {}
        self.stands_for: Callable[[str], str | None] = lambda _: None
        """What a name of the registry stands for now. The registry sets it."""
        self.named: Callable[[], dict[str, str]] = dict
        """Name in the registry -> id of its current version. The registry sets it."""

    def find(self, model_id: str) -> Model:
        """Return a model by id, by absolute folder, by hub id (downloaded when loaded), or by the
        name of a version in the registry: `house-style:v3`, `house-style` for the current one.

        Raises ModelUnknown.
        """
        known = self.list()
        if not any(model.id == model_id and _is_there(model) for model in known):
            named = self.stands_for(model_id)
            if named is not None and named != model_id:
                return self.find(named)
            # It may have come, or gone, since the last look.
            self._listed_at = float("-inf")
            known = self.list()
        for model in known:
            if model.id == model_id:
                return model
        folder = Path(model_id).expanduser()
        if folder.is_absolute() and folder.is_dir():
            return self._at(folder.resolve(), known, model_id)
        if discovery.hub_id(model_id):
            return self._from_hub(model_id, known)
        raise ModelUnknown(model=model_id)

    def base_of(self, model: Model, base: str | None = None) -> Model:
        """Return the whole model to load for `model`: itself, or the base of an adapter.

        `base` names one for an adapter whose own is not here. Raises AdapterMismatch for a wrong
        pair, BaseMissing, ModelUnknown, or the problem of either.
        """
        if not model.is_adapter:
            return self._dressed(_usable(model))
        if model.problem and not isinstance(model.problem, BaseMissing):
            raise model.problem
        if base is None and model.base is None:
            raise BaseMissing(adapter=model.title, base=model.base_name)
        chosen = self._dressed(_usable(self.find(base or model.base or "")))
        if base is not None:
            self._check_named(model, chosen)
        if problem := self._misfit(model.folder, chosen):
            raise problem
        return chosen

    def defaults(self, model_id: str) -> SamplingSection:
        """Return the sampling a model's own files ask for. Raises what `find` raises."""
        model = self.find(model_id)
        base = self.find(model.base) if model.base else model
        return generation.defaults(base.folder)

    def fingerprint(self, model_id: str) -> str:
        """Return a short hash of a model's weights: the version that reports name.

        Raises what `find` raises.
        """
        return self._fingerprint(self.find(model_id).folder)

    def by_folder(self) -> dict[str, str]:
        """Return folder -> id of all models."""
        return {str(model.folder): model.id for model in self.list()}

    def _dressed(self, model: Model) -> Model:
        """Return a model whose folder has a tokenizer: a checkpoint borrows that of its base."""
        if model.run is None or not dressing.needs_tokenizer(model.folder):
            return model
        source = self._resolve(self._runs.config(model.run).model)
        if source is None:
            return model
        place = paths.hosts(self._home) / "checkpoints" / model.id
        return replace(model, folder=dressing.dressed(model.folder, source, place))

    def _fingerprint(self, folder: Path) -> str:
        mark = self._folders.mark(folder)
        known = self._prints.get(folder)
        if known is None or known[0] != mark:
            known = self._prints[folder] = (mark, model_files.fingerprint(folder))
        return known[1]

    def _check_named(self, adapter: Model, chosen: Model) -> None:
        """Make sure that a base somebody chose is the one the adapter names, if that is here."""
        if chosen.is_adapter:
            raise AdapterMismatch(adapter.title, f"{chosen.title} @pairing.is_adapter")
        if adapter.base is None or adapter.base == chosen.id:
            return
        named = self.find(adapter.base)
        if self._fingerprint(named.folder) != self._fingerprint(chosen.folder):
            raise AdapterMismatch(adapter.title, f"@pairing.trained_on {named.title}")

    def _misfit(self, adapter: Path, base: Model) -> EasyTuneError | None:
        if not base.is_here:
            return None
        marks = self._folders.mark(adapter), self._folders.mark(base.folder)
        known = self._fits.get((adapter, base.folder))
        if known is None or known[:2] != marks:
            known = self._fits[adapter, base.folder] = (*marks, _misfit(adapter, base.folder))
        return known[2]

    def _scan(self) -> list[Model]:
        wholes = [*discovery.whole_models(self._home)]
        found = [self._model(name, folder) for name, folder in wholes]
        for title, folder in discovery.exported(self._home):
            if model := self._model(str(folder), folder, "merged"):
                found.append(replace(model, title=title))
        for title, folder in discovery.imported(self._home):
            if model := self._model(str(folder), folder):
                found.append(replace(model, title=title))
        for summary in self._runs.list():
            found += self._of_run(summary)
        models = [model for model in found if model is not None and not _is_partial(model)]
        ids = {model.folder.resolve(): model.id for model in models if not model.is_adapter}
        paired = [self._with_base(model, ids, models) for model in models]
        newest = sorted(paired, key=lambda model: model.modified, reverse=True)
        return sorted(newest, key=lambda model: KINDS.index(model.kind))

    def _model(self, name: str, folder: Path, kind: Kind | None = None) -> Model | None:
        found = self._folders.look(folder)
        if found is None:
            return None
        usual: Kind = "adapter" if found.is_adapter else "merged" if found.is_trained else "base"
        if found.is_adapter and kind == "merged":
            kind = "adapter"
        title = folder.name if Path(name).is_absolute() else name
        return self._made(name, kind or usual, title, found)

    def _made(self, name: str, kind: Kind, title: str, found: Found) -> Model:
        allows_code = settings.allows_remote_code(self._home)
        return Model(
            id=name, kind=kind, title=title, folder=found.folder, base=None,
            base_name=found.base_name, size_gb=found.size_gb, modified=found.modified,
            problem=found.problem or discovery.refused_code(found, allows_code),
            is_adapter=found.is_adapter,
        )  # fmt: skip

    def _of_run(self, summary: RunSummary) -> list[Model]:
        """Return what a run has made: its checkpoints, and its result once it has ended."""
        began = f"{summary.created.astimezone():%Y-%m-%d %H:%M}"
        made: list[Model] = []
        result = self._folders.look(summary.folder.adapter) if summary.state in ENDED else None
        if result and result.problem is None:
            kind: Kind = "adapter" if result.is_adapter else "merged"
            made.append(self._made(summary.id, kind, f"{summary.name} · {began}", result))
        for step, folder in discovery.whole_checkpoints(summary.folder.checkpoints):
            if found := self._folders.look(folder):
                name = f"{summary.id}@{step}"
                # The step first: narrow lists cut the end.
                title = f"{summary.name} @{step} · {began}"
                model = self._made(name, "checkpoint", title, found)
                made.append(replace(_readable(model), step=step))
        return [
            replace(model, run=summary.id, name=summary.name, began=summary.created)
            for model in made
        ]

    def _with_base(self, model: Model, ids: dict[Path, str], known: Iterable[Model]) -> Model:
        """Return an adapter with its base, or with the reason why it has none."""
        if not model.is_adapter:
            return model
        folder = self._base_folder(model)
        base = ids.get(folder.resolve()) if folder else None
        base = base or (str(folder) if folder else None)
        if base is None:
            problem = model.problem or BaseMissing(adapter=model.title, base=model.base_name)
            return replace(model, problem=problem)
        whole = next((each for each in known if each.id == base), None)
        misfit = self._misfit(model.folder, whole) if whole and not model.problem else None
        return replace(model, base=base, problem=model.problem or misfit)

    def _base_folder(self, model: Model) -> Path | None:
        """Return where the base model of an adapter lies, None when that is not here."""
        if model.run is not None:
            section = self._runs.config(model.run).model
            if (folder := self._resolve(section)) is not None:
                return folder
        try:
            return self._resolve(ModelSection(base_model=model.base_name))
        except ValidationError:
            return None

    def _resolve(self, section: ModelSection) -> Path | None:
        looked_at, folder = self._resolved.get(section, (float("-inf"), None))
        if time.monotonic() - looked_at > _RESOLVED_S:
            try:
                folder = model_files.resolve(section, self._home)
            except ModelMissing:
                folder = None
            self._resolved[section] = (time.monotonic(), folder)
        return folder

    def _at(self, folder: Path, known: Iterable[Model], name: str) -> Model:
        """Return the model in a folder that somebody typed."""
        for model in known:
            if model.folder.resolve() == folder:
                return model
        model = self._model(str(folder), folder)
        if model is None:
            raise ModelUnknown(model=name)
        ids = {each.folder.resolve(): each.id for each in known if not each.is_adapter}
        return self._with_base(model, ids, known)

    def _from_hub(self, name: str, known: Iterable[Model]) -> Model:
        # Not remembered: anybody may ask for any name, any number of times.
        folder = model_files.resolve(ModelSection(base_model=name), self._home)
        if folder is not None:
            return replace(self._at(folder, known, name), id=name, title=name)
        return Model(
            id=name, kind="base", title=name, folder=paths.models(self._home) / name, base=None,
            base_name="", size_gb=0.0, modified=datetime.now().astimezone(), is_here=False,
        )  # fmt: skip

    # Last in the class: after it the name no longer means the builtin that annotations need.
    def list(self) -> list[Model]:
        """Return all models, grouped in the order of `Kind`, newest first in each group."""
        with self._lock:
            if time.monotonic() - self._listed_at > _FRESH_S:
                self._listed = self._scan()
                self._listed_at = time.monotonic()
            return [*self._listed]


def _is_there(model: Model) -> bool:
    return not model.is_here or model.folder.is_dir()


def _is_partial(model: Model) -> bool:
    """Tell whether a model of the hub is not whole yet: asking for it fetches the rest."""
    return discovery.hub_id(model.id) and isinstance(model.problem, ModelIncomplete)


def _usable(model: Model) -> Model:
    if model.problem:
        raise model.problem
    return model


def _misfit(adapter: Path, base: Path) -> EasyTuneError | None:
    try:
        pairing.check(adapter, base)
    except (AdapterMismatch, ModelIncomplete) as problem:
        return problem
    chosen = pairing.pinned_base(adapter)
    if chosen and chosen != model_files.fingerprint(base):
        return ImportBaseChanged(model=adapter.parent.name, base=str(base))
    return None


def _readable(model: Model) -> Model:
    """Return a checkpoint, with its problem when the record of its start is gone."""
    if model.problem is None and model.is_adapter and pairing.has_lost_its_start(model.folder):
        return replace(model, problem=AdapterMismatch(model.title, "@engine.reason.start_lost"))
    return model
