"""A model hub on this machine that answers as Hugging Face does, for tests of downloads."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serve(repositories: Path, gated: tuple[str, ...] = ()) -> Iterator[str]:
    """Serve `repositories/<owner>/<model>` and yield the address. Files of `gated` are refused."""

    class Handler(_Hub):
        folder = repositories
        refused = gated

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Hub(BaseHTTPRequestHandler):
    folder: Path
    refused: tuple[str, ...]

    def do_GET(self) -> None:
        """Answer questions about a model, and send its files."""
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[0] == "api":
            self._tell("/".join(parts[2:4]), parts[4] if len(parts) > 4 else "")
        else:
            self._send("/".join(parts[:2]), "/".join(parts[4:]))

    do_HEAD = do_GET  # noqa: N815 - the names are http.server's

    def _tell(self, name: str, question: str) -> None:
        if not (self.folder / name).is_dir():
            self._refuse(404, "RepoNotFound")
        elif question == "tree":
            self._json([self._entry(file) for file in sorted((self.folder / name).iterdir())])
        else:
            self._json({"id": name, "sha": COMMIT, "siblings": []})

    def _entry(self, file: Path) -> dict[str, object]:
        return {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": _etag(file)}

    def _send(self, name: str, wanted: str) -> None:
        file = self.folder / name / wanted
        if name in self.refused:
            self._refuse(403, "GatedRepo")
        elif not file.is_file():
            self._refuse(404, "EntryNotFound")
        else:
            self._reply(200, file.read_bytes(), {"ETag": f'"{_etag(file)}"'})

    def _json(self, content: object) -> None:
        self._reply(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str) -> None:
        self._reply(status, b"{}", {"X-Error-Code": code})

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", COMMIT)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()
