"""An export ends whole and proved, or leaves nothing that could be taken for a model."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from easytune import events, paths
from easytune.engine import exporter
from easytune.engine.exporting import checking
from easytune.engine.exporting.session import Session
from easytune.events import Compared, Event, Failed, Finished, Notice, Stopped, Written
from easytune.export_errors import ParityFailed
from easytune.export_files import (
    CERTIFICATE,
    ExportFolder,
    ExportOrder,
    Parity,
    Source,
    read_certificate,
)
from easytune.exporters import space
from easytune.job import create_named
from easytune.services import export_sheet
from easytune.services.export_story import ExportFold
from tests.conftest import ROOT
from tests.engine import exported, merged, tiny

WORKER = Path(__file__).with_name("killed_exporter.py")
SMALL = {"merged__shard_size_gb": 0.001, "gate__new_tokens": 4}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """An adapter on a tiny model that takes several files."""
    place = tmp_path_factory.mktemp("models")
    base = tiny.save_folder(place / "base", hidden_size=128, intermediate_size=512)
    return exported.source(base, merged.adapter(base, place / "tuned"))


def _ran(folder: ExportFolder) -> list[Event]:
    exporter.run(folder.path)
    return events.read(folder.events)[0]


def _hashes(artefact: Path) -> dict[str, str]:
    return {
        path.relative_to(artefact).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in artefact.rglob("*")
        if path.is_file() and path.name != CERTIFICATE
    }


def _continuing(home: Path, before: ExportFolder) -> ExportFolder:
    order: ExportOrder = before.order().model_copy(update={"continues": before.id})
    return ExportFolder(create_named(paths.exports(home), order, "again", order.created))


@pytest.fixture(scope="module")
def whole(model: Source, tmp_path_factory: pytest.TempPathFactory) -> ExportFolder:
    """An export that nothing has disturbed."""
    folder = exported.order(tmp_path_factory.mktemp("whole"), model, "merged", **SMALL)
    assert isinstance(_ran(folder)[-1], Finished)
    return folder


def test_an_export_counts_its_bytes_and_is_certified(whole: ExportFolder) -> None:
    told = events.read(whole.events)[0]
    phases = [event.name for event in told if event.kind == "phase"]
    assert [name for name in phases if name in ("preparing", "writing", "checking")] == [
        "preparing", "writing", "checking",
    ]  # fmt: skip
    counted = [event for event in told if isinstance(event, Written)]
    assert max(event.total for event in counted) > 1_000_000
    assert all(event.done <= event.total for event in counted)
    compared = [(event.done, event.total) for event in told if isinstance(event, Compared)]
    assert compared == sorted(compared)
    assert compared[-1][0] == compared[-1][1] > 1
    assert sorted(path.name for path in whole.out.iterdir()) == [CERTIFICATE, "model"]
    certificate = whole.certificate()
    assert certificate is not None
    assert certificate == read_certificate(whole.artefact / CERTIFICATE)
    assert certificate.passed
    assert certificate.parity
    assert {one.path: one.sha256 for one in certificate.files} == _hashes(whole.artefact)
    assert len(list(whole.artefact.glob("*.safetensors"))) > 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks to import only once")
def test_a_killed_export_leaves_no_model_and_goes_on_to_the_same_bytes(
    model: Source, whole: ExportFolder, tmp_path: Path
) -> None:
    places = ("bytes:1", "bytes:20", "named:before", "named:after")
    folders = [exported.order(tmp_path, model, "merged", **SMALL) for _ in places]
    words = [
        word for place, folder in zip(places, folders, strict=True)
        for word in (place, str(folder.path))
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    subprocess.run([sys.executable, str(WORKER), *words], env=environment, check=True, timeout=240)
    wanted = _hashes(whole.artefact)
    shards = [name for name in wanted if name.endswith(".safetensors")]
    for place, folder in zip(places, folders, strict=True):
        if place == "named:after":
            # Whole and proved: it has its name and its certificate.
            assert read_certificate(folder.artefact / CERTIFICATE) is not None
            assert _hashes(folder.artefact) == wanted
            assert folder.certificate() is not None
            continue
        assert not folder.artefact.exists(), place
        assert folder.part.is_dir()
        assert folder.certificate() is None
        again = _continuing(tmp_path, folder)
        assert isinstance(_ran(again)[-1], Finished)
        assert _hashes(again.artefact) == wanted
        assert [path.name for path in folder.out.iterdir()] == []
        certificate = again.certificate()
        assert certificate is not None
        assert certificate.continues == folder.id
        # At the first bytes no file was whole; at the certificate all were.
        assert len(certificate.kept) == {"bytes:1": 0, "named:before": len(shards)}.get(
            place, len(certificate.kept)
        )
        sheet = export_sheet.sheet(ExportFold(again, again.order()).tell("again"), "en")
        assert sheet is not None
        assert "goes on from an export that was interrupted" in " ".join(sheet.sentences)


def test_a_stop_leaves_nothing_behind(
    model: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = exported.order(tmp_path, model, "merged", **SMALL)
    own = Session.bytes_done

    def stopping(session: Session, done: int, total: int) -> None:
        session.folder.stop.touch()
        own(session, done, total)

    monkeypatch.setattr(Session, "bytes_done", stopping)

    assert isinstance(_ran(folder)[-1], Stopped)
    assert list(folder.out.iterdir()) == []


def test_an_export_that_departs_keeps_its_certificate_and_nothing_else(
    model: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = checking.check

    def damaging(session: Session, *rest: object) -> tuple[Parity, ...]:
        from safetensors.torch import load_file, save_file

        shard = next(session.work.glob("*.safetensors"))
        content = {name: torch.zeros_like(part) for name, part in load_file(shard).items()}
        save_file(content, shard, {"format": "pt"})
        return own(session, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(checking, "check", damaging)
    folder = exported.order(tmp_path, model, "merged", **SMALL)

    failed = _ran(folder)[-1]

    assert isinstance(failed, Failed)
    assert failed.code == ParityFailed.code()
    assert [path.name for path in folder.out.iterdir()] == [CERTIFICATE]
    certificate = folder.certificate()
    assert certificate is not None
    assert not certificate.passed
    assert certificate.parity[0].departure is not None


def test_a_model_that_changed_while_the_export_waited_is_refused(
    model: Source, tmp_path: Path
) -> None:
    for facts, code in (
        ({"fingerprint": "0" * 12}, "source_changed"),
        ({"base_fingerprint": "0" * 12}, "base_changed"),
        ({"base_folder": str(tmp_path / "gone")}, "model_incomplete"),
    ):
        folder = exported.order(tmp_path, model.model_copy(update=facts), "merged")
        failed = _ran(folder)[-1]
        assert isinstance(failed, Failed)
        assert failed.code == code


def test_a_full_disk_is_told_before_anything_is_written(
    model: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "free_bytes", lambda folder: 1_000_000)
    folder = exported.order(tmp_path, model, "merged")

    failed = _ran(folder)[-1]

    assert isinstance(failed, Failed)
    assert failed.code == "not_enough_space"
    assert failed.values["need_gb"] > failed.values["have_gb"]
    assert list(folder.out.iterdir()) == []


def test_the_adapter_alone_is_loaded_again_and_says_what_merging_a_quantized_base_means(
    model: Source, tmp_path: Path
) -> None:
    trained = model.model_copy(update={"trained_bits": 4})
    artefact, certificate = exported.run(tmp_path, trained, "adapter", gate__new_tokens=4)
    assert certificate.parity[0].passed
    assert "export_quantized_base" not in certificate.notes
    assert (artefact / "adapter_model.safetensors").is_file()
    folder = exported.order(tmp_path, trained, "merged", **SMALL)
    notices = [event.code for event in _ran(folder) if isinstance(event, Notice)]
    assert "export_quantized_base" in notices
