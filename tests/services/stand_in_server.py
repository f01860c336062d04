"""Stands in for a server of models: answers /health, and misbehaves as told.

`stand_in_server.py <port> <behaviour>`: "well"; "crash" ends at once; "refuse" says why and does
not want to be started again; "stubborn" ignores being asked to end, and has a grandchild that
left its session; "sick" answers that it is not well once the file `sick` is there.
"""

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if Path("sick").exists() else 200)
        self.end_headers()
        said = {"instance": os.environ.get("EASYTUNE_INSTANCE"), "secret": os.environ.get("SECRET")}
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, format: str, *args: object) -> None:
        return


def main(port: int, behaviour: str) -> None:
    print("a server begins", flush=True)
    if behaviour == "crash":
        sys.exit(1)
    if behaviour == "refuse":
        facts = {"code": "model_missing", "values": {"model": "gone"}}
        Path("failure.json").write_text(json.dumps(facts))
        sys.exit(78)
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        code = "import time\ntime.sleep(600)"
        child = subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True)
        Path("grandchild").write_text(str(child.pid))
    ThreadingHTTPServer(("127.0.0.1", port), Answers).serve_forever()


if __name__ == "__main__":
    if sys.argv[2] == "slow":
        time.sleep(30)
    main(int(sys.argv[1]), sys.argv[2])
