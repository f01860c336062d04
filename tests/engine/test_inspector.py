"""A check of an import from its files to a model that can be asked; and what never becomes one."""

import io
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from easytune.engine import inspector
from easytune.engine.inspecting import conversion, unpickling
from easytune.inspection_errors import (
    ImportBaseChanged,
    ImportChanged,
    ImportDecided,
    ImportRefused,
    ImportWarned,
)
from easytune.inspection_files import IMPORT_RECORD, Inspection
from easytune.services.catalogue import Catalogue
from easytune.services.inspection_story import InspectionStory
from easytune.services.inspections import Inspections
from easytune.services.runs import Runs
from tests.inspecting import sound, zoo_files
from tests.inspecting.zoo_files import CANARY


@pytest.fixture
def inspections(tmp_path: Path) -> Inspections:
    """Return the checks of an empty home."""
    home = tmp_path / "home"
    return Inspections(home, Catalogue(home, Runs(home)))


def _strong(folder: Path) -> Path:
    """Write an adapter that changes what the demo model says."""
    sound.make(folder)
    louder = {name: tensor * 4 for name, tensor in sound.tensors().items()}
    sound.save(folder / sound.WEIGHTS, louder)
    return folder


def _ended(inspections: Inspections, inspection: str) -> InspectionStory:
    """Do the job of a check here, and return its story."""
    assert inspector.run(inspections.folder(inspection).path) == 0
    return inspections.story(inspection)


def _submit(inspections: Inspections, folder: Path, **more: Any) -> str:
    return inspections.submit([folder], "demo", name="Guest", **more)


def test_an_adapter_is_checked_loaded_compared_and_becomes_a_model(
    inspections: Inspections, tmp_path: Path
) -> None:
    adapter = _strong(tmp_path / "adapter")
    elsewhere = sound.config(base_model_name_or_path="evil/other-base")
    (adapter / sound.CONFIG).write_text(json.dumps(elsewhere))

    story = _ended(inspections, _submit(inspections, adapter))

    found = story.inspection
    assert story.verdict == "passed", found.all_findings
    assert found.health is not None
    assert {one.rank for one in found.health.modules} == {sound.RANK}
    assert found.behaviour is not None
    assert len(found.behaviour.pairs) >= 20
    assert found.behaviour.kl is not None
    assert found.behaviour.kl > 0.01
    record = inspections.accept(story.id, who="ann")
    home = tmp_path / "home"
    assert not list((home / "imports").glob(".incoming-*"))
    assert (inspections.model(record).parent / IMPORT_RECORD).is_file()
    model = Catalogue(home, Runs(home)).find(str(inspections.model(record)))
    assert (model.title, model.base, model.problem) == ("Guest", "demo", None)
    with pytest.raises(ImportDecided):
        inspections.accept(story.id)


def test_a_base_that_changes_after_the_check_is_noticed(
    inspections: Inspections, tmp_path: Path
) -> None:
    story = _ended(inspections, _submit(inspections, _strong(tmp_path / "adapter")))
    record = inspections.accept(story.id)
    place = inspections.model(record).parent / IMPORT_RECORD
    content = json.loads(place.read_text()) | {"base_fingerprint": "0123456789ab"}
    place.write_text(json.dumps(content))

    home = tmp_path / "home"
    model = Catalogue(home, Runs(home)).find(str(inspections.model(record)))

    assert isinstance(model.problem, ImportBaseChanged)


def test_what_the_files_refuse_is_neither_queued_nor_run_nor_imported(
    inspections: Inspections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CANARY, str(tmp_path / "canary"))
    adapter = sound.make(tmp_path / "adapter")
    (adapter / "training_args.bin").write_bytes(zoo_files.in_zip())

    inspection = _submit(inspections, adapter)

    story = inspections.story(inspection)
    assert (story.state, story.verdict, story.can_import) == ("finished", "refused", False)
    assert story.queue_position is None
    with pytest.raises(ImportRefused):
        inspections.accept(inspection, warnings=True)
    inspections.discard(inspection)
    assert list((tmp_path / "home" / "imports").iterdir()) == []
    assert not (tmp_path / "canary").exists()


def test_warnings_are_accepted_only_when_somebody_says_so(
    inspections: Inspections, tmp_path: Path
) -> None:
    adapter = sound.make(tmp_path / "adapter")
    sound.with_template("{{ 'See https://example.org' }}")(adapter)
    inspection = _submit(inspections, adapter)
    whole = Inspection(static=inspections.story(inspection).inspection.static)
    folder = inspections.folder(inspection)
    folder.out.mkdir()
    folder.result.write_text(whole.model_dump_json())
    folder.events.write_text('{"kind": "finished"}\n')

    with pytest.raises(ImportWarned):
        inspections.accept(inspection)
    quarantine = Path(inspections.order(inspection).quarantine)
    weights = quarantine / "model" / sound.WEIGHTS
    before = weights.read_bytes()
    weights.write_bytes(before[:-4] + b"\0\0\0\1")
    with pytest.raises(ImportChanged):
        inspections.accept(inspection, warnings=True)
    weights.write_bytes(before)
    assert inspections.accept(inspection, warnings=True).verdict == "warnings"


def test_what_a_killed_process_left_is_swept_and_open_checks_are_kept(
    inspections: Inspections, tmp_path: Path
) -> None:
    inspection = _submit(inspections, sound.make(tmp_path / "adapter"))
    orphan = tmp_path / "home" / "imports" / ".incoming-dead"
    orphan.mkdir()
    (orphan / "owner.json").write_text('{"owner": "boot|1|then|x"}')

    inspections.sweep()

    assert not orphan.exists()
    assert Path(inspections.order(inspection).quarantine).is_dir()


class _Getattr:
    """Reaches a function through a chain of attributes."""

    def __reduce__(self) -> tuple[object, tuple[object, str]]:
        return getattr, (Path("x"), "unlink")


class _Numpy:
    """Hides a program in the making of a number of numpy."""

    def __reduce__(self) -> tuple[object, tuple[object, bytes]]:
        return np.core.multiarray.scalar, (np.dtype("O"), zoo_files.pickled())  # type: ignore[attr-defined]


def _saved(content: object) -> bytes:
    packed = io.BytesIO()
    torch.save(content, packed)
    return packed.getvalue()


PAYLOADS = {
    "system": lambda: _saved({"w": zoo_files.Payload()}),
    "attributes": lambda: _saved({"w": _Getattr()}),
    "plain pickle": lambda: pickle.dumps({"w": zoo_files.Payload()}),
    "nested zip": lambda: zoo_files.in_zip("archive/data.pkl"),
    "legacy tar": zoo_files.in_tar,
    "number": lambda: _saved({"w": _Numpy()}),
    "huge view": lambda: _saved({"w": torch.zeros(1).expand(10**12)}),
}


@pytest.mark.parametrize("name", PAYLOADS)
@pytest.mark.filterwarnings("ignore")
def test_a_hostile_pickle_is_not_converted(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CANARY, str(tmp_path / "canary"))
    source = tmp_path / "adapter_model.bin"
    source.write_bytes(PAYLOADS[name]())

    with pytest.raises((pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError)):
        unpickling.convert(source, tmp_path / "out.safetensors")

    assert not (tmp_path / "out.safetensors").exists()
    assert not (tmp_path / "canary").exists()


def test_a_child_converts_plain_weights_and_refuses_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CANARY, str(tmp_path / "canary"))
    adapter = sound.make(tmp_path / "adapter")
    (adapter / sound.WEIGHTS).unlink()
    plain = {name: torch.from_numpy(tensor) for name, tensor in sound.tensors().items()}
    (adapter / "adapter_model.bin").write_bytes(_saved(plain))
    (adapter / "optimizer.pt").write_bytes(zoo_files.in_zip())
    hostile = shutil.copytree(adapter, tmp_path / "hostile")
    (hostile / "adapter_model.bin").write_bytes(PAYLOADS["system"]())

    (good,) = conversion.convert(adapter, ("adapter_model.bin",))
    (bad,) = conversion.convert(hostile, ("adapter_model.bin",))

    assert good.ok
    assert good.tensors == len(plain)
    assert {"environment", "session"} <= set(good.isolation)
    assert sorted(path.name for path in adapter.iterdir()) == [sound.CONFIG, sound.WEIGHTS]
    assert not bad.ok
    assert "system" in bad.reason
    assert not (hostile / sound.WEIGHTS).exists()
    assert not (tmp_path / "canary").exists()
