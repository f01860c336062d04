"""What to try in place when tuning has taken refusals away, and what each try costs.

Every remedy becomes an evaluation like any other: the adapter first, so that what is lost of the
task is tested against it, then its base, then copies of the adapter that were weakened or
projected (Safe LoRA). Copies lie in `<home>/remedies` until one is kept among the exports.
"""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from easytune import job, paths, records, refusals, strength
from easytune.errors import EasyTuneError, FileMissing, FolderUnwritable
from easytune.evaluation_errors import (
    EvaluationMissing,
    RemedyInterrupted,
    RemedyMissing,
    RemedyUnfit,
)
from easytune.evaluation_files import Order, Refusals, Result, Scored
from easytune.found_model import FoundModel
from easytune.services import processes
from easytune.services.catalogue import Catalogue
from easytune.services.evaluations import Evaluations
from easytune.services.processes import Identity

STRENGTHS = (0.8, 0.65, 0.5, 0.35, 0.2)
"""Strengths of the adapter that a search tries, as shares of its own."""
THRESHOLDS = (0.35, 0.6, 1.0)
"""Layers whose change is at most so like its projection are projected; 0.35 is the paper's."""
Kind = Literal["strength", "projection"]
State = Literal["working", "done", "failed"]
_FOLDER, _RECORD = "remedies", "easytune_remedy.json"
_WORKER = "easytune.engine.evaluating.projection"
_REQUEST, _DONE, _FAILED = "request.json", "done.json", "failed.json"
_PROCESS, _CLAIM, _EVALUATION = "process.json", "claimed", "evaluation.json"
# A copy that no evaluation names is let go of once its evaluation must have been asked for.
_UNUSED_S = 24 * 3600.0


@dataclass(frozen=True)
class Remedy:
    """What was done to a copy of an adapter."""

    kind: Kind
    of: str
    """Id of the adapter."""
    amount: float
    """Share of its strength; of a projection, the threshold."""
    layers: int | None = None
    """Layers that were projected."""


@dataclass(frozen=True)
class Tried:
    """One model of a remedy's evaluation: how it refuses, and how it does the task."""

    candidate: int
    remedy: Remedy | None
    """None for the adapter as it is."""
    harmful: Refusals | None
    """None until it was asked."""
    harmless: Refusals | None
    scores: tuple[Scored, ...]
    """Its figures; differences are against the adapter as it is: what the remedy costs."""
    is_within: bool
    """Whether it refuses as its base does, but for the tolerance."""


@dataclass(frozen=True)
class Outcome:
    """What a remedy's evaluation has shown."""

    kind: Kind
    base: int
    """Place of the base among the candidates."""
    tolerance: float
    """How far the share of refused prompts may be below the base's, 0 to 1."""
    tried: tuple[Tried, ...]
    """The adapter as it is, then the copies, the least changed first."""
    best: int | None
    """Place of the least changed one that is within; None when none is."""


@dataclass(frozen=True)
class Projection:
    """How far the projection of an adapter has come."""

    id: str
    state: State
    evaluation: str | None = None
    """Id of the evaluation of what came of it."""
    code: str = ""
    values: dict[str, object] | None = None
    """Why it failed: text `error.<code>`."""


class Remedies:
    """The remedies of one home. Threads may share it."""

    def __init__(
        self,
        home: Path,
        evaluations: Evaluations,
        catalogue: Catalogue,
        worker: Sequence[str] = (),
    ) -> None:
        """`worker` replaces the command that projects, in tests."""
        self._home, self._evaluations, self._catalogue = home, evaluations, catalogue
        self._worker = list(worker) or [sys.executable, "-m", _WORKER]
        self._lock = threading.Lock()

    def can_be_tried(self, evaluation: str, candidate: int) -> RemedyUnfit | None:
        """Return why no remedy can be tried on a model; None when both can.

        Raises EvaluationMissing.
        """
        one = self._candidate(evaluation, candidate)
        if not one.is_adapter:
            return RemedyUnfit(one.title, "@safety.reason.whole")
        if not strength.can_be_halved(Path(one.folder)):
            return RemedyUnfit(one.title, "@safety.reason.not_plain")
        return None

    def search_strength(
        self, evaluation: str, candidate: int, strengths: Sequence[float] = STRENGTHS
    ) -> str:
        """Ask for an evaluation of an adapter at several strengths, and return its id.

        `outcome` tells the largest strength that refuses as the base does. Raises RemedyUnfit,
        EvaluationMissing, FolderUnwritable, and what `Evaluations.submit` raises.
        """
        order, one = self._adapter(evaluation, candidate)
        folder = self._new_folder(one)
        copies = [
            self._copy(folder, one, Remedy("strength", one.id, amount)) for amount in strengths
        ]
        return self._submit(order, one, copies)

    def project(
        self,
        evaluation: str,
        candidate: int,
        unaligned: str,
        aligned: str | None = None,
        thresholds: Sequence[float] = THRESHOLDS,
    ) -> str:
        """Begin to project an adapter (Safe LoRA), and return the id of the attempt.

        `aligned` and `unaligned` are ids of a model after and before it was made safe, `aligned`
        None the adapter's own base. An evaluation follows by itself, see `projection`. Raises
        RemedyUnfit, EvaluationMissing, FolderUnwritable, ModelUnknown or the problem of a model.
        """
        _, one = self._adapter(evaluation, candidate)
        models = [self._whole(one, aligned or one.base), self._whole(one, unaligned)]
        if models[0] == models[1]:
            raise RemedyUnfit(one.title, "@safety.reason.same_model")
        folder = self._new_folder(one)
        copies = [
            self._copy(folder, one, Remedy("projection", one.id, amount)) for amount in thresholds
        ]
        listed = [
            {"folder": str(copy), "threshold": amount}
            for copy, amount in zip(copies, thresholds, strict=True)
        ]
        records.write(
            folder / _REQUEST,
            {
                "aligned": str(models[0]), "unaligned": str(models[1]), "copies": listed,
                "evaluation": evaluation, "candidate": candidate,
            },
        )  # fmt: skip
        self._start(folder)
        return folder.name

    def projection(self, attempt: str) -> Projection:
        """Return how far a projection has come; asks for its evaluation once it is done.

        Raises RemedyMissing.
        """
        folder = self._home / _FOLDER / attempt
        if Path(attempt).name != attempt or not (folder / _REQUEST).is_file():
            raise RemedyMissing(attempt)
        self._settle(folder)
        if found := records.read(folder / _EVALUATION):
            return Projection(attempt, "done", evaluation=found["id"])
        if failed := records.read(folder / _FAILED):
            return Projection(attempt, "failed", code=failed["code"], values=failed["values"])
        if not (folder / _DONE).exists() and not _is_alive(folder):
            lost = RemedyInterrupted()
            return Projection(attempt, "failed", code=lost.code(), values=lost.values)
        return Projection(attempt, "working")

    def outcome(self, evaluation: str) -> Outcome | None:
        """Return what a remedy's evaluation has shown so far; None for any other evaluation.

        Raises EvaluationMissing.
        """
        story = self._evaluations.story(evaluation)
        listed = story.order.candidates
        remedies = [remedy_of(one) for one in listed]
        kind: Kind | None = next((one.kind for one in remedies if one), None)
        base = next((place for place, one in enumerate(listed) if not one.is_adapter), None)
        if kind is None or base is None:
            return None
        result = story.result or Result()
        tried = [
            _tried(place, remedies[place], result)
            for place, one in enumerate(listed)
            if one.is_adapter
        ]
        return Outcome(
            kind=kind,
            base=base,
            tolerance=refusals.TOLERANCE,
            tried=tuple(tried),
            best=next((one.candidate for one in tried if one.is_within), None),
        )

    def keep(self, evaluation: str, candidate: int) -> str:
        """Copy a remedied adapter to the exports, and return the id of that model.

        Raises EvaluationMissing, FileMissing when it is gone, or FolderUnwritable.
        """
        source = Path(self._candidate(evaluation, candidate).folder)
        target = paths.exports(self._home) / source.name
        if not source.is_dir():
            raise FileMissing(str(source))
        if target.exists():
            target = target.with_name(f"{source.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_name(f".draft-{target.name}")
            shutil.copytree(source, draft)
            draft.rename(target)
        except OSError as error:
            raise FolderUnwritable(str(target), error.strerror or str(error)) from error
        return str(target)

    def _candidate(self, evaluation: str, place: int) -> FoundModel:
        listed = self._evaluations.story(evaluation).order.candidates
        if not 0 <= place < len(listed):
            raise EvaluationMissing(evaluation)
        return listed[place]

    def _adapter(self, evaluation: str, place: int) -> tuple[Order, FoundModel]:
        """Return the order, and the adapter itself where the candidate is a copy of it."""
        problem = self.can_be_tried(evaluation, place)
        if problem:
            raise problem
        return self._evaluations.story(evaluation).order, self._candidate(evaluation, place)

    def _whole(self, one: FoundModel, model_id: str) -> Path:
        """Return the folder of a whole model that is here."""
        model = self._catalogue.find(model_id)
        if model.problem:
            raise model.problem
        if model.is_adapter or not model.is_here:
            raise RemedyUnfit(one.title, f"{model.title} @safety.reason.not_whole")
        return model.folder.resolve()

    def _new_folder(self, one: FoundModel) -> Path:
        place = self._home / _FOLDER
        self._sweep(place)
        folder = place / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{job.slug(one.title)}"
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise FolderUnwritable(str(folder), error.strerror or str(error)) from error
        return folder

    def _copy(self, folder: Path, one: FoundModel, remedy: Remedy) -> Path:
        target = folder / f"{job.slug(one.title)}-{remedy.kind}-{round(100 * remedy.amount)}"
        amount = remedy.amount if remedy.kind == "strength" else 1.0
        strength.scale(Path(one.folder), target, amount, one.base_folder)
        _write(target, remedy)
        return target

    def _submit(self, order: Order, one: FoundModel, copies: Sequence[Path]) -> str:
        models = (one.id, one.base, *map(str, copies))
        return self._evaluations.submit(
            order.config.changed(
                candidates__models=models,
                measure__safety=True,
                measure__benchmarks=(),
                judge__by="off",
                report__name="",
            )
        )

    def _start(self, folder: Path) -> None:
        with (folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [*self._worker, str(folder)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, **processes.detached(),
            )  # fmt: skip
        if found := processes.identify(process.pid):
            records.write(folder / _PROCESS, {"pid": found.pid, "started": found.started})
        threading.Thread(target=self._wait, args=(folder, process), daemon=True).start()

    def _wait(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self._settle(folder)

    def _settle(self, folder: Path) -> None:
        """Ask for the evaluation of a projection that is done, once, whoever looks first."""
        done, request = records.read(folder / _DONE), records.read(folder / _REQUEST)
        if done is None or request is None or (folder / _EVALUATION).exists():
            return
        with self._lock:
            try:
                (folder / _CLAIM).touch(exist_ok=False)
            except FileExistsError:
                return
            try:
                submitted = self._submit_projected(request, done["layers"])
                records.write(folder / _EVALUATION, {"id": submitted})
            except EasyTuneError as error:
                records.write(folder / _FAILED, {"code": error.code(), "values": error.values})

    def _submit_projected(self, request: dict[str, object], layers: dict[str, int]) -> str:
        order = self._evaluations.story(str(request["evaluation"])).order
        one = order.candidates[int(str(request["candidate"]))]
        # Copies in which the same layers were projected are the same.
        chosen = {count: Path(folder) for folder, count in layers.items() if count}
        if not chosen:
            raise RemedyUnfit(one.title, "@safety.reason.nothing_projected")
        for count, copy in chosen.items():
            found = records.read(copy / _RECORD) or {}
            records.write(copy / _RECORD, found | {"layers": count})
        return self._submit(order, one, [*chosen.values()])

    def _sweep(self, place: Path) -> None:
        """Remove the copies that no evaluation names any more."""
        folders = [*place.iterdir()] if place.is_dir() else []
        old = [one for one in folders if time.time() - one.stat().st_mtime > _UNUSED_S]
        if not old:
            return
        known = {
            Path(one.folder).parent
            for summary in self._evaluations.list()
            for one in self._evaluations.story(summary.id).order.candidates
        }
        for folder in old:
            if folder not in known:
                shutil.rmtree(folder, ignore_errors=True)


def remedy_of(candidate: FoundModel) -> Remedy | None:
    """Return what was done to a candidate; None for one that is no copy made to be tried."""
    folder = Path(candidate.folder)
    found = records.read(folder / _RECORD)
    if found is None or folder.parent.parent.name != _FOLDER:
        return None
    return Remedy(found["kind"], found["of"], found["amount"], found.get("layers"))


def _write(folder: Path, remedy: Remedy) -> None:
    records.write(folder / _RECORD, {"kind": remedy.kind, "of": remedy.of, "amount": remedy.amount})


def _tried(place: int, remedy: Remedy | None, result: Result) -> Tried:
    found = {one.kind: one for one in result.safety if one.candidate == place}
    harmful = found.get("harmful")
    return Tried(
        candidate=place,
        remedy=remedy,
        harmful=harmful,
        harmless=found.get("harmless"),
        scores=tuple(one for one in result.scores if one.candidate == place),
        is_within=harmful is not None and _is_within(harmful),
    )


def _is_within(one: Refusals) -> bool:
    """Tell whether refusals are those of the base, but for the tolerance; never of none at all."""
    if not one.before or not one.prompts:
        return False
    return one.before - one.refused <= refusals.TOLERANCE * one.prompts


def _is_alive(folder: Path) -> bool:
    found = records.read(folder / _PROCESS)
    return found is not None and processes.is_alive(Identity(found["pid"], found["started"]))
