"""Models pushed to a hub: gated here, sent whole, compared there; and every way it can fail."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from easytune import demo, records
from easytune.engine.exporting import job
from easytune.engine.reporting import Reporter
from easytune.engine.stopping import StopSignal
from easytune.export_errors import BaseQuantized
from easytune.export_files import Certificate, ExportFolder
from easytune.exporters import hub as exporter
from easytune.hub_errors import (
    HubDiffers,
    HubNameInvalid,
    HubNameTaken,
    HubNotAllowed,
    HubNotReached,
    HubTokenMissing,
    HubTokenRefused,
)
from tests import push_hub
from tests.engine import exported, merged
from tests.patience import eventually
from tests.push_hub import TOKEN, Hub, Repository

NAME = f"{push_hub.OWNER}/tuned"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an adapter on the demo model with what a run writes beside it."""
    folder = merged.adapter(demo.MODEL, tmp_path_factory.mktemp("adapter") / "tuned")
    config = {
        "lora": {"rank": 4},
        "data": {"datasets": ["/home/alice/secret-customers.jsonl", "me/public"]},
    }
    (folder / "easytune.yaml").write_text(yaml.safe_dump(config))
    lost = '{"metrics": {"loss": 1.25}, "forgetting": {"score": 0.02}, "used": "secret-customers"}'
    (folder / "metrics.json").write_text(lost)
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Return a hub that lets us in."""
    with push_hub.serve() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield found


@pytest.fixture(scope="module")
def pushed(
    adapter: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Hub, Path, Certificate]]:
    """Return a hub that an adapter was pushed to, the artefact here, and the certificate."""
    with push_hub.serve() as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", found.address)
        patch.setenv("HF_TOKEN", TOKEN)
        options = {"hub__license": "apache-2.0", "hub__name_datasets": True}
        yield found, *_push(tmp_path_factory.mktemp("home"), adapter, **options)


def test_an_adapter_is_gated_sent_and_compared(pushed: tuple[Hub, Path, Certificate]) -> None:
    hub, artefact, certificate = pushed

    repository = hub.repositories[NAME]
    assert repository.private
    assert {path.name for path in artefact.iterdir()} <= set(repository.files)
    assert certificate.passed
    assert certificate.published is not None
    assert certificate.published.files == len(certificate.files) + 1
    assert certificate.published.url == f"{hub.address}/{NAME}"
    sent = repository.files["adapter_model.safetensors"]
    assert sent == (artefact / "adapter_model.safetensors").read_bytes()


def test_nothing_that_is_sent_names_folders_or_tokens(
    pushed: tuple[Hub, Path, Certificate], adapter: Path
) -> None:
    hub, artefact, _ = pushed

    job_folder = artefact.parent.parent
    words = (TOKEN, str(job_folder.parent.parent), str(adapter), str(demo.MODEL), "/home/alice")
    for name, content in hub.repositories[NAME].files.items():
        assert not any(word.encode() in content for word in words), name
    assert TOKEN not in (job_folder / "job.yaml").read_text()


def test_the_card_tells_what_was_trained_and_how_close_it_is(
    pushed: tuple[Hub, Path, Certificate],
) -> None:
    card = pushed[0].repositories[NAME].files["README.md"].decode()

    header = yaml.safe_load(card.split("---")[1])
    assert header["license"] == "apache-2.0"
    assert header["library_name"] == "peft"
    assert header["datasets"] == ["me/public"]
    assert "| Rank | 4 |" in card
    assert "secret-customers" in card
    assert "1.2500" in card
    assert "Same answers" in card


def test_the_card_is_shown_before_anything_is_written(adapter: Path, tmp_path: Path) -> None:
    order = _order(tmp_path, adapter).order()

    card = exporter.preview(order)

    assert "secret-customers" not in card
    assert "Measured before anything is sent" in card
    assert f'from_pretrained(base, "{NAME}")' in card
    assert str(tmp_path) not in card


def test_a_quantized_base_can_be_named_but_not_merged(
    hub: Hub, adapter: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(demo.MODEL, base)
    config = records.read(base / "config.json") or {}
    records.write(base / "config.json", config | {"quantization_config": {"quant_method": "gptq"}})
    model = exported.source(base, adapter)
    whole = {"hub__repository": NAME, "hub__content": "merged"}
    order = exported.order(tmp_path, model, "hub", **whole).order()

    with pytest.raises(BaseQuantized):
        exporter.refuse(order.config.hub, order)

    exporter.refuse(order.config.changed(hub__content="adapter").hub, order)


def test_a_killed_upload_shows_nothing_and_goes_on_without_sending_twice(
    hub: Hub, adapter: Path, tmp_path: Path
) -> None:
    hub.hold = "tokenizer.json"
    killed = _order(tmp_path, adapter, hub__content="merged")
    command = [sys.executable, "-m", "easytune.engine.exporter", str(killed.path)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert eventually(hub.held.is_set)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert set(hub.repositories[NAME].files) == {".gitattributes"}
    before, hub.hold = list(hub.puts), ""

    again = _order(tmp_path, adapter, continues=killed.id, hub__content="merged")
    _work(again)

    certificate = again.certificate()
    assert certificate is not None
    assert certificate.published is not None
    assert {"model.safetensors", "tokenizer.json"} <= set(hub.repositories[NAME].files)
    weights = next(one.sha256 for one in certificate.files if one.path == "model.safetensors")
    assert before.count(weights) == 1
    assert weights not in hub.puts[len(before) :]


def test_files_of_somebody_else_are_not_covered_unless_that_is_wanted(
    hub: Hub, adapter: Path, tmp_path: Path
) -> None:
    hub.repositories[NAME] = Repository(private=True, files={"other.txt": b"mine"})

    with pytest.raises(HubNameTaken) as raised:
        _push(tmp_path, adapter)

    assert raised.value.files == 1
    assert set(hub.repositories[NAME].files) == {"other.txt"}
    _push(tmp_path, adapter, hub__existing=True, hub__revision="v2", hub__message="Second try")
    assert {"other.txt", "adapter_model.safetensors"} <= set(hub.repositories[NAME].files)
    assert hub.repositories[NAME].messages == ["Second try"]
    assert not any(b"secret-customers" in one for one in hub.repositories[NAME].files.values())
    assert "v2" in hub.repositories[NAME].branches


def test_what_arrived_otherwise_than_sent_is_noticed(
    hub: Hub, adapter: Path, tmp_path: Path
) -> None:
    hub.damaged = True

    with pytest.raises(HubDiffers):
        _push(tmp_path, adapter)


def test_every_refusal_says_what_to_do(
    hub: Hub, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HubNotAllowed):
        _push(tmp_path, adapter, hub__repository="somebody-else/tuned")
    with pytest.raises(HubNameInvalid):
        _push(tmp_path, adapter, hub__repository="no owner")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubTokenRefused) as raised:
        _push(tmp_path, adapter)
    assert "hf_wrong" not in str(raised.value)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubNotReached):
        _push(tmp_path, adapter)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubTokenMissing):
        _push(tmp_path, adapter)


def _push(home: Path, adapter: Path, **options: Any) -> Any:
    folder = _order(home, adapter, **options)
    _work(folder)
    certificate = folder.certificate()
    assert certificate is not None
    return folder.artefact, certificate


def _order(home: Path, adapter: Path, **options: Any) -> ExportFolder:
    given = {"hub__repository": NAME} | options
    return exported.order(home, exported.source(demo.MODEL, adapter), "hub", **given)


def _work(folder: ExportFolder) -> None:
    job.export(folder.order(), folder, Reporter(folder.events), StopSignal(folder.stop))
