"""One export, from its order to its certificate."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from easytune import model_files, records
from easytune.engine.exporting import checking
from easytune.engine.exporting.copying import BLOCK
from easytune.engine.exporting.session import Session
from easytune.engine.reporting import Reporter
from easytune.engine.stopping import StopAsked, StopSignal
from easytune.errors import ModelIncomplete
from easytune.events import Finished, Stopped
from easytune.export_errors import BaseChanged, ParityFailed, SourceChanged
from easytune.export_files import (
    CERTIFICATE,
    Certificate,
    ExportFolder,
    ExportOrder,
    FileFact,
    Parity,
    export_name,
)
from easytune.exporters import EXPORTERS, Publisher, space


def export(
    order: ExportOrder, folder: ExportFolder, report: Reporter, stop: StopSignal
) -> Finished | Stopped:
    """Do what is asked for and return how it ended.

    The artefact is written aside, loaded again and compared; only then it gets its name. After a
    stop or a failure nothing of it is left, but for the certificate of a gate that did not pass.
    Raises EasyTuneError.
    """
    session = Session(order, folder, report, stop)
    try:
        return _Export(session).run()
    except StopAsked:
        _clear(folder)
        return Stopped()
    except BaseException:
        _clear(folder)
        raise
    finally:
        session.close()


class _Export:
    """One export; it lasts as long as its job."""

    def __init__(self, session: Session) -> None:
        self._session, self._order, self._folder = session, session.order, session.folder
        self._exporter = EXPORTERS[session.order.config.what.target]
        self._options = session.order.config.options

    def run(self) -> Finished:
        """Do every phase."""
        self._prepare()
        if self._order.config.what.strengths:
            from easytune.engine.exporting import strengths

            self._session.phase("probing")
            strengths.measure(self._session)
            return Finished()
        self._session.phase("writing")
        number_format = self._exporter.export(self._session, self._options)
        self._session.phase("checking")
        parity = checking.check(self._session, self._exporter, self._options, number_format)
        self._session.phase("finishing")
        self._finish(number_format, parity)
        return Finished(metrics=dict(_figures(parity)))

    def _prepare(self) -> None:
        """Make sure that the models are those of the order, and that there is room."""
        self._session.phase("preparing")
        self._exporter.refuse(self._options, self._order)
        check_models(self._order)
        for source in self._order.sources:
            if source.trained_bits is not None and target_merges(self._order):
                values = {"model": source.title, "bits": source.trained_bits}
                self._session.note("export_quantized_base", **values)
        self._folder.out.mkdir(exist_ok=True)
        space.require(self._order, self._folder.out)
        _clear(self._folder)
        for folder in (self._folder.part, self._folder.scratch):
            folder.mkdir()

    def _finish(self, number_format: str, parity: tuple[Parity, ...]) -> None:
        """Write the certificate, and give the artefact its name when the gate has passed."""
        passed = all(one.passed for one in parity)
        publisher = self._exporter if isinstance(self._exporter, Publisher) else None
        if publisher and passed:
            publisher.describe(self._session, self._options, number_format, parity)
        certificate = self._certificate(number_format, parity)
        if not passed:
            records.write_text(self._folder.result, _text(certificate))
            worst = next(one for one in parity if not one.passed)
            raise ParityFailed(
                worst.runtime, f"@export.parity.{worst.reason}", f"@export.advice.{worst.advice}"
            )
        if publisher:
            published = publisher.publish(self._session, self._options, certificate)
            certificate = certificate.model_copy(update={"published": published})
        else:
            # What has been sent is not taken back.
            self._session.check_stop()
        # Scratch goes first: whoever dies after the rename leaves none of it.
        self._session.close()
        records.write_text(self._folder.part / CERTIFICATE, _text(certificate))
        self._folder.part.rename(self._folder.artefact)
        records.write_text(self._folder.result, _text(certificate))
        _clear(self._folder)
        if self._order.continues:
            _clear(ExportFolder(self._folder.path.parent / self._order.continues))

    def _certificate(self, number_format: str, parity: tuple[Parity, ...]) -> Certificate:
        session = self._session
        return Certificate(
            target=self._order.config.what.target,
            name=export_name(self._order),
            sources=self._order.sources,
            number_format=number_format,
            parity=parity,
            files=tuple(_facts(session)),
            versions=self._order.versions,
            options=_options(self._order),
            passed=all(one.passed for one in parity),
            notes=tuple(session.notes),
            continues=self._order.continues,
            kept=session.kept,
        )


def _clear(folder: ExportFolder) -> None:
    """Remove what an export leaves on its way, and the notes that it took beside that."""
    for left in (folder.part, folder.scratch):
        shutil.rmtree(left, ignore_errors=True)
    for notes in folder.out.glob(f".{folder.part.name}.*"):
        notes.unlink(missing_ok=True)


def check_models(order: ExportOrder) -> None:
    """Make sure that the models are still those that the order found.

    Raises BaseChanged, SourceChanged, or ModelIncomplete for one that is gone.
    """
    for source in order.sources:
        folder, base = Path(source.folder), Path(source.base_folder)
        for place in (folder, base):
            if not place.is_dir():
                raise ModelIncomplete(model=str(place), missing="config.json")
        if model_files.fingerprint(folder) != source.fingerprint:
            raise SourceChanged(model=source.title)
        expected = source.base_fingerprint
        if source.is_adapter and expected and model_files.fingerprint(base) != expected:
            raise BaseChanged(model=source.title, base=source.base, folder=str(base))


def _facts(session: Session) -> Iterator[FileFact]:
    """Yield size and hash of every file; only those are read that nobody hashed before."""
    work = session.work
    for path in sorted(path for path in work.rglob("*") if path.is_file()):
        name = path.relative_to(work).as_posix()
        known = session.hashes.get(name)
        yield FileFact(path=name, bytes=path.stat().st_size, sha256=known or _sealed(path, session))


def _sealed(path: Path, session: Session) -> str:
    """Return the hash of a file, which has reached the disk then."""
    digest = hashlib.sha256()
    # Windows flushes only files opened for writing.
    with path.open("r+b") as file:
        while block := file.read(BLOCK):
            session.check_stop()
            digest.update(block)
        os.fsync(file.fileno())
    return digest.hexdigest()


def _text(certificate: Certificate) -> str:
    return certificate.model_dump_json(indent=1)


def _options(order: ExportOrder) -> dict[str, dict[str, object]]:
    content = order.config.model_dump(mode="json")
    return {name: content[name] for name in ("what", order.config.what.target, "gate")}


def _figures(parity: tuple[Parity, ...]) -> Iterator[tuple[str, float]]:
    """Yield the figures of the first runtime, for lists of exports."""
    for one in parity[:1]:
        if one.kl is not None:
            yield "kl", one.kl
        yield "greedy_agreement", one.greedy_agreement


def target_merges(order: ExportOrder) -> bool:
    """Tell whether an export makes whole weights of base and adapter."""
    config = order.config
    if config.what.target == "hub":
        return order.sources[0].is_adapter and config.hub.content == "merged"
    return order.sources[0].is_adapter and config.what.target != "adapter"
