"""Exports as the app knows them: real processes in the queue of the runs, no model."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from easytune import demo, paths, records
from easytune.export import ExportConfig
from easytune.export_errors import (
    BaseChanged,
    ExportActive,
    ExportFileMissing,
    ExportInvalid,
    ExportMissing,
    ExportNameTaken,
    ExportUnfinished,
    NoAdapter,
    NotEnoughSpace,
    SourceChanged,
)
from easytune.export_files import CERTIFICATE
from easytune.exporters import space
from easytune.inference_errors import ModelUnknown
from easytune.services.catalogue import Catalogue
from easytune.services.dispatch import Dispatcher
from easytune.services.export_story import ExportStory
from easytune.services.exports import Exports
from easytune.services.room import Room
from easytune.services.runs import Runs
from tests.made_adapters import adapter_on
from tests.patience import eventually
from tests.services.trained import copy_runs

STAND_IN = Path(__file__).parent / "stand_in_exporter.py"


@dataclass
class Dock:
    """A home with an adapter on the demo model."""

    home: Path
    exports: Exports
    adapter: Path

    @property
    def config(self) -> ExportConfig:
        return ExportConfig().changed(what__models=(str(self.adapter),))

    def dispatcher(self, pause_s: float = 0.0, die_at: int = 0) -> Dispatcher:
        return Dispatcher(self.home, [sys.executable, str(STAND_IN), str(pause_s), str(die_at)])

    def started(self, pause_s: float = 0.0, die_at: int = 0, **options: object) -> str:
        export = self.exports.submit(self.config.changed(**options))
        assert self.dispatcher(pause_s, die_at).tick() == export
        return export

    def wait(self, export: str, is_so: Callable[[ExportStory], object]) -> ExportStory:
        def look() -> ExportStory | None:
            story = self.exports.story(export)
            return story if is_so(story) else None

        return eventually(look, lambda: str(self.exports.story(export)))

    def ended(self, export: str) -> ExportStory:
        story = self.wait(export, lambda story: story.has_ended)
        eventually(self.exports.folder(export).exit.exists)
        return story


@pytest.fixture
def dock(home: Path) -> Dock:
    adapter = adapter_on(demo.MODEL, home / "models" / "tone")
    return Dock(home, Exports(home, Catalogue(home, Runs(home))), adapter)


def test_an_export_counts_its_bytes_and_becomes_a_model_for_every_picker(dock: Dock) -> None:
    export = dock.started(0.05)
    seen = dock.wait(export, lambda story: story.state == "running" and story.done > 2000)
    assert seen.counts_bytes
    assert (seen.total, seen.phase, seen.is_model) == (20_000, "writing", False)
    assert seen.bytes_per_second == 5000
    assert seen.seconds_left
    assert Room(dock.home).is_training()
    compared = dock.wait(export, lambda story: not story.counts_bytes and story.done > 0)
    assert (compared.phase, compared.total) == ("checking", 64)
    assert compared.seconds_left
    story = dock.ended(export)
    assert (story.state, story.name, story.is_model) == ("finished", "tone · adapter", True)
    later = Exports(dock.home, Catalogue(dock.home, Runs(dock.home)))
    assert later.story(export) == story
    assert later.latest() == export
    assert later.certificate(export).parity[0].passed
    assert [one.id for one in later.of_model(str(dock.adapter))] == [export]
    assert later.list("TONE adapter")[0].id == export
    assert later.list("onnx") == []


def test_only_what_the_certificate_names_is_given_out(dock: Dock) -> None:
    export = dock.started()
    dock.ended(export)
    assert dock.exports.file(export, "weights.bin").stat().st_size == 20_000
    assert dock.exports.file(export, CERTIFICATE).is_file()
    for path in ("../../job.yaml", str(dock.home), "other.bin", ""):
        with pytest.raises(ExportFileMissing):
            dock.exports.file(export, path)


def test_a_stopped_export_leaves_nothing_and_can_begin_again(dock: Dock) -> None:
    export = dock.started(0.1)
    dock.wait(export, lambda story: story.done)
    with pytest.raises(ExportActive):
        dock.exports.resume(export)
    with pytest.raises(ExportActive):
        dock.exports.delete(export)
    with pytest.raises(ExportUnfinished):
        dock.exports.certificate(export)
    dock.exports.stop(export)
    story = dock.ended(export)
    assert (story.state, story.certificate) == ("stopped", None)
    assert not any((story.folder.part.exists(), story.folder.artefact.exists()))
    again = dock.exports.resume(export)
    assert dock.dispatcher().tick() == again
    assert dock.ended(again).state == "finished"
    dock.exports.delete(again)
    with pytest.raises(ExportMissing):
        dock.exports.story(again)


def test_what_a_killed_export_has_written_is_offered_to_the_one_that_goes_on(dock: Dock) -> None:
    export = dock.started(die_at=5)
    story = dock.ended(export)
    assert story.state == "crashed"
    assert story.failure is not None
    assert story.failure.code == "export_interrupted"
    assert [path.name for path in story.folder.out.iterdir()] == ["part"]
    again = dock.exports.resume(export)
    assert dock.exports.order(again).continues == export
    dock.exports.stop(again)
    # Ended before it began, it has nothing of its own to hand on.
    assert dock.exports.order(dock.exports.resume(again)).continues == export


def test_an_export_killed_when_all_is_proved_has_finished(dock: Dock) -> None:
    export = dock.started(die_at=21)
    story = dock.ended(export)
    assert (story.state, story.failure, story.is_model) == ("finished", None, True)
    assert [one.code for one in story.notices] == ["export_unclean_end"]
    later = Exports(dock.home, Catalogue(dock.home, Runs(dock.home)))
    assert [(one.id, one.state) for one in later.list()] == [(export, "finished")]
    assert later.file(export, CERTIFICATE).is_file()


def test_an_export_that_departs_is_a_failure_with_its_figures_and_no_model(dock: Dock) -> None:
    adapter = adapter_on(demo.MODEL, dock.home / "models" / "departs")
    export = dock.started(what__models=(str(adapter),))
    story = dock.ended(export)
    assert story.state == "failed"
    assert story.failure is not None
    assert story.failure.code == "parity_failed"
    assert not story.is_model
    assert story.certificate is not None
    assert story.certificate.parity[0].departure is not None
    with pytest.raises(ExportFileMissing):
        dock.exports.file(export, "weights.bin")


def test_a_name_stands_for_one_export_only(dock: Dock) -> None:
    named = dock.config.changed(result__name="Tone one")
    first = dock.exports.submit(named)
    with pytest.raises(ExportNameTaken):
        dock.exports.submit(named.changed(result__name="tone  ONE"))
    dock.exports.stop(first)
    second = dock.exports.submit(named)
    other = dock.exports.submit(dock.config)
    with pytest.raises(ExportNameTaken):
        dock.exports.rename(other, "tone one")
    dock.exports.rename(second, "Tone two")
    dock.exports.rename(other, "tone one")
    assert dock.exports.story(other).name == "tone one"


def test_no_two_exports_are_called_alike_though_nobody_chose_a_name(dock: Dock) -> None:
    half = dock.config.changed(what__target="quantized", what__strength=0.5)
    first, second = dock.exports.submit(half), dock.exports.submit(half)
    dock.exports.stop(first)
    third = dock.exports.submit(half.changed(quantized__method="w4a16"))
    dock.exports.submit(dock.config.changed(result__name="tone · adapter"))
    fourth = dock.exports.submit(dock.config)
    dock.exports.stop(second)
    again = dock.exports.resume(second)
    assert [dock.exports.story(one).name for one in (first, second, third, fourth, again)] == [
        "tone × 0.5 · quantized w8a16",
        "tone × 0.5 · quantized w8a16 (2)",
        "tone × 0.5 · quantized w4a16",
        "tone · adapter (2)",
        # It is the same one, gone on with.
        "tone × 0.5 · quantized w8a16 (2)",
    ]


def test_what_cannot_be_exported_is_refused_before_it_waits(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, config = dock.exports.submit, dock.config
    with pytest.raises(NoAdapter):
        submit(config.changed(what__models=("demo",)))
    with pytest.raises(ModelUnknown):
        submit(config.changed(what__models=("nobody",)))
    with pytest.raises(ExportInvalid) as wrong:
        submit(config.changed(what__weights=(0.5, 0.5)))
    assert wrong.value.option == "what.weights"
    with pytest.raises(ExportInvalid):
        submit(config.changed(what__models=(str(dock.adapter), "demo")))
    monkeypatch.setattr(space, "free_bytes", lambda folder: 1_000_000)
    with pytest.raises(NotEnoughSpace) as full:
        submit(config)
    assert full.value.need_gb > full.value.have_gb
    assert dock.exports.list() == []


def test_a_base_that_changed_since_the_training_is_noticed(dock: Dock, trained_home: Path) -> None:
    run = copy_runs(trained_home, dock.home)
    config = dock.config.changed(what__models=(run,))
    assert dock.exports.check(config).sources[0].base_fingerprint
    record = dock.home / "runs" / run / "out" / "base.json"
    records.write(record, {"folder": str(demo.MODEL), "fingerprint": "0" * 12})
    with pytest.raises(BaseChanged):
        dock.exports.submit(config)


def test_a_model_that_changed_is_not_mixed_with_what_was_written_before(dock: Dock) -> None:
    export = dock.started(die_at=5)
    dock.ended(export)
    weights = dock.adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(SourceChanged):
        dock.exports.resume(export)


def test_an_older_copy_in_the_exports_is_still_a_model(dock: Dock) -> None:
    half = adapter_on(demo.MODEL, paths.exports(dock.home) / "run-half")
    dock.exports.submit(dock.config)
    found = Catalogue(dock.home, Runs(dock.home)).find(str(half))
    assert (found.kind, found.title, found.problem) == ("adapter", "run-half", None)
    assert len(dock.exports.list()) == 1


def test_a_proved_export_is_found_by_its_name(dock: Dock) -> None:
    export = dock.started(result__name="Shop voice")
    artefact = dock.ended(export).folder.artefact
    adapter_on(demo.MODEL, artefact / "copy")
    for file in (artefact / "copy").iterdir():
        file.rename(artefact / file.name)
    found = Catalogue(dock.home, Runs(dock.home)).find(str(artefact))
    assert (found.kind, found.title, found.base) == ("adapter", "Shop voice", "demo")
    certificate = records.read(artefact / CERTIFICATE) or {}
    (artefact / CERTIFICATE).write_text(json.dumps(certificate | {"passed": False}))
    known = [model.id for model in Catalogue(dock.home, Runs(dock.home)).list()]
    assert str(artefact) not in known
