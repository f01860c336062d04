"""A hub on this machine that takes uploads as Hugging Face does: repositories, LFS, commits."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.hub_server import HubHandler, serving

TOKEN, OWNER = "hf_only_for_tests", "me"
_LARGE = 5_000


@dataclass
class Repository:
    """One repository: its files, and what was said with each commit."""

    private: bool
    files: dict[str, bytes] = field(default_factory=lambda: {".gitattributes": b"*"})
    large: set[str] = field(default_factory=set)
    messages: list[str] = field(default_factory=list)
    branches: set[str] = field(default_factory=lambda: {"main"})


@dataclass
class Hub:
    """All that the hub has, and how it shall misbehave."""

    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    """Large files by SHA-256, those too that no commit names yet."""
    puts: list[str] = field(default_factory=list)
    """Hashes of large files in the order in which sending them began."""
    hold: str = ""
    """Part of a file's name whose upload is held up for ever."""
    names: dict[str, str] = field(default_factory=dict)
    held: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    damaged: bool = False
    """Whether what was sent is told to be something else afterwards."""


@contextmanager
def serve() -> Iterator[Hub]:
    """Serve an empty hub."""
    hub = Hub()

    class Handler(_Handler):
        state = hub

    with serving(Handler) as hub.address:
        try:
            yield hub
        finally:
            hub.go_on.set()


class _Handler(HubHandler):
    state: Hub

    def do_GET(self) -> None:
        """Tell about a repository."""
        parts = self.parts()
        if not self._allowed():
            return
        if parts[:2] == ["api", "whoami-v2"]:
            self.reply_json({"name": OWNER, "type": "user", "orgs": []})
            return
        found = self._found("/".join(parts[2:4]))
        if found is None:
            return
        if parts[4:5] == ["tree"]:
            self.reply_json([_entry(found, name, False) for name in found.files])
        else:
            name = "/".join(parts[2:4])
            self.reply_json({"id": name, "private": found.private, "sha": "0" * 40, "siblings": []})

    def do_POST(self) -> None:
        """Make repositories, take commits, tell what is there."""
        parts, body = self.parts(), self.body()
        if not self._allowed():
            return
        if parts[:3] == ["api", "repos", "create"]:
            self._create(json.loads(body))
        elif parts[-3:] == ["lfs", "objects", "batch"]:
            self._batch(json.loads(body))
        elif parts[:2] == ["api", "validate-yaml"]:
            self.reply_json({"errors": [], "warnings": []})
        elif (found := self._found("/".join(parts[2:4]))) is not None:
            self._answer(found, parts[4], parts[5], body)

    def do_PUT(self) -> None:
        """Take a large file."""
        oid = self.parts()[-1]
        self.state.puts.append(oid)
        if self.state.hold and self.state.hold in self.state.names.get(oid, ""):
            self.rfile.read(100)
            self.state.held.set()
            self.state.go_on.wait()
            return
        content = self.body()
        assert hashlib.sha256(content).hexdigest() == oid
        self.state.objects[oid] = content
        self.reply_json({})

    def _create(self, wish: dict[str, Any]) -> None:
        name = f"{wish.get('organization') or OWNER}/{wish['name']}"
        if wish.get("organization") not in (None, OWNER):
            self._refuse(403)
        elif name in self.state.repositories:
            self._refuse(409)
        else:
            private = wish.get("visibility") == "private"
            self.state.repositories[name] = Repository(private)
            self.reply_json({"url": f"{self.state.address}/{name}"})

    def _answer(self, found: Repository, question: str, revision: str, body: bytes) -> None:
        if question == "branch":
            found.branches.add(revision)
            self.reply_json({})
        elif question == "preupload":
            self.reply_json({"files": [self._mode(one) for one in json.loads(body)["files"]]})
        elif question == "commit":
            self._commit(found, body)
        else:
            names = [n for n in parse_qs(body.decode())["paths"] if n in found.files]
            self.reply_json([_entry(found, name, self.state.damaged) for name in names])

    def _mode(self, one: dict[str, Any]) -> dict[str, Any]:
        self.state.names["last"] = one["path"]
        large = one["size"] > _LARGE
        mode = "lfs" if large else "regular"
        return {"path": one["path"], "uploadMode": mode, "shouldIgnore": False, "oid": None}

    def _batch(self, wish: dict[str, Any]) -> None:
        objects = []
        for one in wish["objects"]:
            oid = one["oid"]
            self.state.names[oid] = self.state.names["last"]
            upload = {"href": f"{self.state.address}/lfs/{oid}", "header": {}}
            actions = {} if oid in self.state.objects else {"actions": {"upload": upload}}
            objects.append(one | actions)
        self.reply_json({"transfer": "basic", "objects": objects})

    def _commit(self, found: Repository, body: bytes) -> None:
        for line in body.splitlines():
            one = json.loads(line)
            value = one["value"]
            if one["key"] == "header":
                found.messages.append(value["summary"])
            elif one["key"] == "file":
                found.files[value["path"]] = base64.b64decode(value["content"])
            else:
                found.files[value["path"]] = self.state.objects[value["oid"]]
                found.large.add(value["path"])
        oid = f"{len(found.messages):040x}"
        name = "/".join(self.parts()[2:4])
        self.reply_json(
            {"commitUrl": f"{self.state.address}/{name}/commit/{oid}", "commitOid": oid}
        )

    def _found(self, name: str) -> Repository | None:
        found = self.state.repositories.get(name)
        if found is None:
            self._refuse(404, "RepoNotFound")
        return found

    def _allowed(self) -> bool:
        if self.bears(TOKEN):
            return True
        self._refuse(401)
        return False

    def _refuse(self, status: int, code: str = "") -> None:
        self.reply(status, b"{}", {"X-Error-Code": code} if code else {})


def _entry(found: Repository, name: str, damaged: bool) -> dict[str, Any]:
    content = found.files[name] + (b"!" if damaged else b"")
    git = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": git}
    if name in found.large:
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
    return entry
