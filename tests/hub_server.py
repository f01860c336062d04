"""What the hubs that tests talk to have in common: an address of this machine, plain replies."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class HubHandler(BaseHTTPRequestHandler):
    """Reads what is asked, and replies."""

    def parts(self) -> list[str]:
        """Return the path that is asked for, piece by piece."""
        return urlsplit(self.path).path.strip("/").split("/")

    def body(self) -> bytes:
        """Return what was sent along."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def bears(self, token: str) -> bool:
        """Tell whether the caller has shown this token."""
        return self.headers.get("Authorization") == f"Bearer {token}"

    def reply_json(self, content: object, status: int = 200) -> None:
        """Reply with a JSON document."""
        self.reply(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Reply; to a question for the head alone without the body."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: type[HubHandler]) -> Iterator[str]:
    """Answer with this handler, and yield the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
