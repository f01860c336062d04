"""The registry: versions come from files, what people add stays, and nothing is half deleted."""

import hashlib
import shutil
import threading
from pathlib import Path

import pytest

from easytune import locks, paths
from easytune.data.versions.library import Library
from easytune.errors import RunMissing
from easytune.job import JobFolder
from easytune.registry_errors import (
    CheckpointMissing,
    CheckpointsMove,
    EntryChanged,
    EntryInUse,
    EntryMissing,
    EntryNameInvalid,
    EntryNeeded,
    NoCurrentVersion,
    NoEarlierVersion,
)
from easytune.services import registry_comparison
from easytune.services.catalogue import Catalogue
from easytune.services.evaluations import Evaluations
from easytune.services.registry import Edit, Registry
from easytune.services.registry_entry import Query
from easytune.services.registry_trace import Tracer
from easytune.services.runs import Runs
from tests.patience import eventually
from tests.services.registry_home import adapter, checkpoint, export, registry, run


def _refs(found: Registry, **query: str) -> list[str]:
    return [entry.ref for entry in found.list(Query(**query)).entries]  # type: ignore[arg-type]


def test_every_run_that_ended_is_a_version_numbered_in_the_order_of_time(home: Path) -> None:
    run(home, number=2)
    run(home, number=1)
    run(home, name="Other Name", number=3)
    run(home, name="running", number=4, ended=False)

    listed = registry(home).list()

    assert [entry.ref for entry in listed.entries] == [
        "other-name:v1", "house-style:v2", "house-style:v1",
    ]  # fmt: skip
    newest = listed.entries[1]
    assert newest.facts.loss == 1.5
    assert newest.facts.forgetting == (0.02, 0.01, 0.03)
    assert (newest.stage, newest.base_name, newest.is_current) == ("candidate", "demo", False)


def test_a_version_keeps_its_number_when_others_come_and_go(home: Path) -> None:
    first = run(home, number=1)
    run(home, number=2)
    found = registry(home)
    assert _refs(found) == ["house-style:v2", "house-style:v1"]
    shutil.rmtree(first.path)
    run(home, number=3)

    assert _refs(registry(home)) == ["house-style:v3", "house-style:v2"]


@pytest.mark.parametrize("broken", ["no weights", "cut weights", "no config", "no job"])
def test_a_half_written_folder_is_no_version_until_it_is_whole(home: Path, broken: str) -> None:
    made = run(home)
    weights = made.adapter / "adapter_model.safetensors"
    harm = {
        "no weights": weights.unlink,
        "cut weights": lambda: weights.write_bytes(weights.read_bytes()[:-20]),
        "no config": (made.adapter / "adapter_config.json").unlink,
        "no job": lambda: made.job.write_text("task: [", encoding="utf-8"),
    }
    harm[broken]()
    found = registry(home)

    assert found.list().entries == ()
    if broken != "no job":
        shutil.rmtree(made.adapter)
        adapter(made.adapter)
        assert len(found.list().entries) == 1


def test_the_result_of_a_run_whose_runner_was_killed_is_a_version_too(home: Path) -> None:
    made = run(home)
    made.exit.unlink()
    with locks.hold(made.lock) or pytest.fail("the lock is taken"):
        assert registry(home).list().entries == ()

    assert len(registry(home).list().entries) == 1


def test_versions_are_searched_filtered_and_sorted(home: Path) -> None:
    for number in (1, 2, 3):
        run(home, name="tone" if number < 3 else "facts", number=number)
    found = registry(home)
    found.edit("tone:v1", Edit(stage="approved", tags=["Best", "best ", "de"], notes="For Ann"))

    assert _refs(found, search="ANN tone") == ["tone:v1"]
    assert _refs(found, stage="approved") == _refs(found, tag="best") == ["tone:v1"]
    assert _refs(found, kind="export") == _refs(found, base="other") == []
    assert _refs(found, sort="loss") == ["facts:v1", "tone:v2", "tone:v1"]
    assert _refs(found, sort="forgetting") == ["tone:v1", "tone:v2", "facts:v1"]  # type: ignore[arg-type]
    assert found.list().tags == ("best", "de")


def test_every_change_is_in_the_history_with_who_and_when(home: Path) -> None:
    run(home)
    found = registry(home)
    found.edit("house-style:v1", Edit(stage="approved"), "ann")
    found.edit("house-style:v1", Edit(name="Tone of Voice"), "bob")

    entry = found.get("tone-of-voice:v1")
    history = found.history(entry.key)

    assert [(one.who, one.what, one.after) for one in history][:2] == [
        ("bob", "name", "tone-of-voice:v1"), ("ann", "stage", "approved"),
    ]  # fmt: skip
    with pytest.raises(EntryMissing):
        found.get("house-style:v1")
    with pytest.raises(EntryNameInvalid):
        found.edit(entry.key, Edit(name="../?"))


def test_a_change_on_top_of_an_older_look_is_refused_and_tags_of_both_stay(home: Path) -> None:
    run(home)
    one, other = registry(home), registry(home)
    seen = one.get("house-style:v1")
    other.edit(seen.key, Edit(notes="first"), revision=seen.revision)

    with pytest.raises(EntryChanged):
        one.edit(seen.key, Edit(notes="second"), revision=seen.revision)

    threads = [
        threading.Thread(target=each.tag, args=(seen.key, [f"{name}-{place}"]))
        for place in range(4)
        for name, each in (("a", one), ("b", other))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(one.get(seen.key).tags) == 8
    assert len(one.history(seen.key)) == 10


def test_two_processes_that_list_at_once_number_each_version_once(home: Path) -> None:
    for number in range(1, 9):
        run(home, number=number)
    found = [registry(home) for _ in range(3)]
    threads = [threading.Thread(target=each.list) for each in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [entry.number for entry in found[0].list().entries] == list(range(8, 0, -1))


def test_the_current_version_is_what_a_name_stands_for_and_can_be_rolled_back(home: Path) -> None:
    for number in (1, 2, 3):
        run(home, number=number)
    found = registry(home)
    found.list()
    with pytest.raises(NoCurrentVersion):
        found.get("house-style")
    with pytest.raises(NoEarlierVersion):
        found.roll_back("house-style")
    for ref in ("house-style:v1", "house-style:v3"):
        found.set_current(ref, "ann")

    assert found.get("house-style:current").ref == "house-style:v3"
    assert found.roll_back("house-style", "bob").ref == "house-style:v1"
    assert found.get("house-style").is_current
    assert found.history("house-style:v2")[0].what == "rolled_back"
    assert found.resolve("house-style") == found.get("house-style:v1").facts.model
    assert found.resolve("nothing") is None


def test_a_checkpoint_becomes_a_version_on_demand_when_its_run_has_ended(home: Path) -> None:
    made = run(home)
    found = registry(home)
    with pytest.raises(CheckpointMissing):
        found.keep_checkpoint(made.id, 2)
    checkpoint(made)
    with pytest.raises(RunMissing):
        found.keep_checkpoint("another", 2)
    with locks.hold(made.lock) or pytest.fail("the lock is taken"):
        made.exit.unlink()
        with pytest.raises(CheckpointsMove):
            found.keep_checkpoint(made.id, 2)

    kept = found.keep_checkpoint(made.id, 2, "ann", name="early")

    assert (kept.ref, kept.author, kept.facts.loss) == ("early:v1", "ann", 2.5)
    assert "early:v1" in _refs(registry(home))


def test_only_an_export_that_passed_its_gate_is_a_version(home: Path) -> None:
    made = run(home)
    export(home, made, "Tone for Ollama")
    export(home, made, passed=False)

    (entry,) = registry(home).list(Query(kind="export")).entries

    assert entry.ref == "tone-for-ollama:v1"
    assert entry.facts.metrics["greedy_agreement"] == 1.0
    assert entry.facts.sources == (made.id,)


def test_what_depends_on_a_version_is_listed_before_it_is_deleted(home: Path) -> None:
    made = run(home)
    checkpoint(made)
    export(home, made, "tone")
    run(home, name="next", number=2, model__adapter=str(made.adapter))
    found = registry(home)
    found.set_current("house-style:v1")

    kinds = [one.kind for one in found.needs("house-style:v1")]
    assert kinds == ["checkpoints", "export", "run"]
    with pytest.raises(EntryNeeded):
        found.delete("house-style:v1")
    assert made.path.is_dir()

    item = found.delete("house-style:v1", "ann", confirmed=True)

    assert _refs(found, kind="run") == ["next:v1"]
    with pytest.raises(EntryMissing):
        found.get("house-style:v1")
    with pytest.raises(EntryMissing):
        found.delete("house-style:v1", confirmed=True)
    found.restore(item, "bob")
    assert [one.what for one in found.history("house-style:v1")][:3] == [
        "restored", "deleted", "current",
    ]  # fmt: skip
    assert not found.get("house-style:v1").is_current


def test_files_that_a_job_works_with_are_not_deleted(home: Path) -> None:
    made = run(home)
    child = run(home, name="next", number=2, model__adapter=str(made.adapter), ended=False)
    found = registry(home)

    with locks.hold(child.lock) or pytest.fail("the lock is taken"), pytest.raises(EntryInUse):
        found.delete("house-style:v1", confirmed=True)

    assert made.adapter.is_dir()


def test_hashes_are_computed_once_and_a_file_that_changed_is_told(home: Path) -> None:
    made = run(home)
    found = registry(home)
    entry = found.list().entries[0]
    assert not found.files(entry.key).is_known
    eventually(lambda: found.files(entry.key).is_known, lambda: "no hashes came")
    weights = made.adapter / "adapter_model.safetensors"
    files = {file.path: file.sha256 for file in found.files(entry.key).now}
    assert files[weights.name] == hashlib.sha256(weights.read_bytes()).hexdigest()

    body = bytearray(weights.read_bytes())
    body[-1] ^= 1
    weights.write_bytes(body)
    (made.adapter / "extra").touch()
    (made.adapter / "metrics.json").unlink()

    assert registry(home).verify(entry.key).changes == {
        weights.name: "changed", "extra": "added", "metrics.json": "missing",
    }  # fmt: skip
    found.close()


def test_two_versions_are_compared_line_by_line(home: Path) -> None:
    run(home, number=1)
    run(home, number=2, optim__learning_rate=5e-5)
    runs = Runs(home)
    evaluations = Evaluations(home, runs, Catalogue(home, runs))

    compared = registry_comparison.compare(
        registry(home), runs, evaluations, "house-style:v1", "house-style:v2"
    )

    different = {line.name for line in compared.lines if line.differs}
    assert {"optim.learning_rate", "held_out_loss", "forgetting"} <= different
    assert "adapter_model.safetensors" in {line.name for line in compared.lines}
    assert not different & {"lora.rank", "base", "kind"}


def test_a_version_is_traced_from_the_export_back_to_the_rows(home: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "Hi", "completion": "Hello"}\n' * 3, encoding="utf-8")
    made = run(home, data__datasets=("dataset:gone@2", str(rows)))
    first = run(home, name="next", number=2, model__adapter=str(made.adapter))
    export(home, first, "tone")
    runs = Runs(home)
    tracer = Tracer(home, runs, Catalogue(home, runs))

    chain = tracer.trace(registry(home).get("tone:v1"))

    assert [(link.kind, link.is_here) for link in chain] == [
        ("export", True), ("run", True), ("run", True), ("file", True), ("base", True),
    ]  # fmt: skip
    assert chain[-1].was == "cd34"
    assert chain[-1].fingerprint
    links = tracer.trace(registry(home).get("house-style:v1"))
    assert [(link.kind, link.title, link.is_here) for link in links[1:3]] == [
        ("dataset", "gone@2", False), ("file", "rows.jsonl", True),
    ]  # fmt: skip
    assert Library(home).list() == []


def test_what_takes_long_to_read_comes_with_a_later_look(home: Path) -> None:
    for number in range(1, 6):
        run(home, number=number)
    found = registry(home)

    listed = found.list(patience_s=0)

    assert listed.pending + listed.total == 5
    assert listed.pending
    found.read_on()
    eventually(lambda: found.list(patience_s=0).total == 5, lambda: "they are never read")
    found.close()


def test_a_home_without_anything_has_an_empty_registry(home: Path) -> None:
    assert registry(home).list().entries == ()
    assert not JobFolder(paths.runs(home)).path.exists()
