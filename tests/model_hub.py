"""A model hub on this machine that answers as Hugging Face does, for tests of downloads."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hub_server import HubHandler, serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serve(repositories: Path, gated: tuple[str, ...] = ()) -> Iterator[str]:
    """Serve `repositories/<owner>/<model>` and yield the address. Files of `gated` are refused."""

    class Handler(_Hub):
        folder = repositories
        refused = gated

    with serving(Handler) as address:
        yield address


class _Hub(HubHandler):
    folder: Path
    refused: tuple[str, ...]

    def do_GET(self) -> None:
        """Answer questions about a model, and send its files."""
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[0] == "api":
            self._tell("/".join(parts[2:4]), parts[4] if len(parts) > 4 else "")
        else:
            self._send("/".join(parts[:2]), "/".join(parts[4:]))

    do_HEAD = do_GET

    def _tell(self, name: str, question: str) -> None:
        if not (self.folder / name).is_dir():
            self._refuse(404, "RepoNotFound")
        elif question == "tree":
            self.reply_json([self._entry(file) for file in sorted((self.folder / name).iterdir())])
        else:
            self.reply_json({"id": name, "sha": COMMIT, "siblings": []})

    def _entry(self, file: Path) -> dict[str, object]:
        return {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": _etag(file)}

    def _send(self, name: str, wanted: str) -> None:
        file = self.folder / name / wanted
        if name in self.refused:
            self._refuse(403, "GatedRepo")
        elif not file.is_file():
            self._refuse(404, "EntryNotFound")
        else:
            self.reply(200, file.read_bytes(), {"ETag": f'"{_etag(file)}"'})

    def _refuse(self, status: int, code: str) -> None:
        self.reply(status, b"{}", {"X-Error-Code": code})

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Reply as `HubHandler` does, and name the commit."""
        super().reply(status, body, {"X-Repo-Commit": COMMIT, **headers})


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()
