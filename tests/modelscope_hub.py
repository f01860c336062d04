"""A hub on this machine that takes uploads as ModelScope does."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.hub_server import HubHandler, serving

TOKEN = "ms-only-for-tests"


@dataclass
class Hub:
    """All that the hub has."""

    address: str = ""
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    objects: dict[str, bytes] = field(default_factory=dict)
    puts: list[str] = field(default_factory=list)


@contextmanager
def serve() -> Iterator[Hub]:
    """Serve an empty hub."""
    hub = Hub()

    class Handler(_Handler):
        state = hub

    with serving(Handler) as hub.address:
        yield hub


class _Handler(HubHandler):
    state: Hub

    def do_GET(self) -> None:
        """Tell about a repository and its files."""
        if not self._allowed():
            return
        parts = self.parts()
        name = "/".join(parts[3:5])
        if name not in self.state.repositories:
            self.reply_json({"Code": 10010205001, "Message": "not found"}, 404)
        elif parts[5:7] == ["repo", "files"]:
            files = self.state.repositories[name].items()
            self._data({"Files": [_entry(path, content) for path, content in files]})
        else:
            visibility = 1 if name in self.state.private else 5
            self._data({"Name": parts[4], "Path": parts[3], "Visibility": visibility})

    def do_POST(self) -> None:
        """Make repositories and take commits."""
        if not self._allowed():
            return
        parts, wish = self.parts(), json.loads(self.body())
        if parts == ["api", "v1", "models"]:
            name = f"{wish['Path']}/{wish['Name']}"
            self.state.repositories[name] = {}
            if wish["Visibility"] == 1:
                self.state.private.add(name)
            self._data({"Name": wish["Name"], "Path": wish["Path"]})
        elif parts[-1] == "batch":
            self._data({"objects": [self._place(one) for one in wish["objects"]]})
        else:
            self._commit("/".join(parts[4:6]), wish["actions"])

    def do_PUT(self) -> None:
        """Take a large file."""
        oid, content = self.parts()[-1], self.body()
        assert hashlib.sha256(content).hexdigest() == oid
        self.state.puts.append(oid)
        self.state.objects[oid] = content
        self._data({})

    def _place(self, one: dict[str, Any]) -> dict[str, Any]:
        oid = one["oid"]
        upload = {"upload": {"href": f"{self.state.address}/lfs/{oid}"}}
        return {"oid": oid, "actions": {} if oid in self.state.objects else upload}

    def _commit(self, name: str, actions: list[dict[str, Any]]) -> None:
        for one in actions:
            large = one["type"] == "lfs"
            content = self.state.objects[one["sha256"]] if large else _decoded(one)
            self.state.repositories[name][one["path"]] = content
        self._data({"oid": "c0ffee"})

    def _allowed(self) -> bool:
        if self.bears(TOKEN):
            return True
        self.reply_json({"Code": 10010204001, "Message": "token invalid"}, 401)
        return False

    def _data(self, content: object) -> None:
        self.reply_json({"Code": 200, "Success": True, "Data": content})


def _decoded(one: dict[str, Any]) -> bytes:
    return base64.b64decode(one["content"])


def _entry(path: str, content: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(content).hexdigest()
    return {"Path": path, "Size": len(content), "Sha256": sha256, "Type": "blob"}
