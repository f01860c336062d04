"""Models pushed to ModelScope, where its package is installed."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from easytune import demo, hubs
from easytune.engine.exporting import hub_export
from easytune.engine.exporting.hub_files import Sent
from easytune.hub_errors import HubNameTaken, HubNotReached, HubTokenRefused
from tests import modelscope_hub
from tests.engine import exported
from tests.modelscope_hub import TOKEN, Hub

NAME = "me/tuned"
pytestmark = pytest.mark.skipif(
    find_spec("modelscope_hub") is None, reason="modelscope is not installed"
)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Return a hub that lets us in."""
    with modelscope_hub.serve() as found:
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", found.address)
        monkeypatch.setenv("MODELSCOPE_API_TOKEN", TOKEN)
        yield found


def test_files_are_sent_once_and_compared(hub: Hub, tmp_path: Path) -> None:
    files = _files(tmp_path)

    done = _push(tmp_path / "one", files)
    again = _push(tmp_path / "two", files, hub__existing=True)

    hub_export.compare("ModelScope", NAME, files, done.found)
    assert set(hub.repositories[NAME]) == {"README.md", "sub/model.safetensors"}
    assert NAME in hub.private
    assert len(hub.puts) == 1
    assert again.found == done.found


def test_refusals_are_told_apart(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = _files(tmp_path)
    hub.repositories[NAME] = {"theirs.txt": b"1"}
    with pytest.raises(HubNameTaken):
        _push(tmp_path / "one", files)
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "ms-wrong")
    with pytest.raises(HubTokenRefused):
        _push(tmp_path / "two", files)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubNotReached):
        _push(tmp_path / "three", files)


def _push(home: Path, files: list[Sent], **options: Any) -> Any:
    from easytune.engine.exporting import hub_modelscope

    given = {"hub__repository": NAME, "hub__hub": "modelscope"} | options
    session = exported.session(exported.order(home, exported.source(demo.MODEL), "hub", **given))
    config = session.order.config.hub
    hub_modelscope.look(config, hubs.HUBS["modelscope"])
    return hub_modelscope.push(session, config, hubs.HUBS["modelscope"], files)


def _files(folder: Path) -> list[Sent]:
    weights, card = folder / "w", folder / "card"
    weights.write_bytes(bytes(range(256)) * 1000)
    card.write_text("# A card")
    return [Sent.of("README.md", card), Sent.of("sub/model.safetensors", weights)]
