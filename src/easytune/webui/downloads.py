"""Sends a trained adapter as one zip file, written while it is sent."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from easytune.errors import RunMissing
from easytune.services.runs import Runs

CHUNK = 1 << 20


class AdapterDownload:
    """The route `/download/<run>`."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def answer(self, request: Request) -> Response:
        """Stream the adapter of a run; 404 when there is none."""
        run_id = request.path_params["run_id"]
        try:
            folder = self._runs.folder(run_id).adapter
        except RunMissing:
            folder = None
        if folder is None or not folder.is_dir():
            return PlainTextResponse("There is no adapter of that name.", status_code=404)
        headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(run_id)}.zip"}
        return StreamingResponse(
            zipped(folder, run_id), media_type="application/zip", headers=headers
        )


def zipped(folder: Path, name: str) -> Iterator[bytes]:
    """Yield the bytes of a zip file that holds `folder` under `name`, without a temporary copy."""
    pipe = _Pipe()
    # Weights do not compress; the time would be lost.
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = f"{name}/{file.relative_to(folder).as_posix()}"
            with file.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                    yield pipe.taken()
    yield pipe.taken()


class _Pipe(io.RawIOBase):
    """Keeps what was written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, block: object) -> int:
        data = bytes(block)  # type: ignore[arg-type]
        self._held += data
        return len(data)

    def taken(self) -> bytes:
        """Return what was written since the last call."""
        data = bytes(self._held)
        self._held.clear()
        return data
