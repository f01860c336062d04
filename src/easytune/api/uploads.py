"""Files that a call brings, written to disk while they come: no upload is ever in memory."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any

from anyio import to_thread
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from easytune.api.following import HungUp
from easytune.api.problems import ApiProblem
from easytune.data.tasks import unwritable

MULTIPART = "multipart/form-data"
LARGEST_FIELD = 1 << 20
MOST_PARTS = 1000
_LONGEST_NAME = 100
_LONGEST_HEADER = 1 << 14


def is_multipart(content_type: str) -> bool:
    """Tell whether a body of this type brings files."""
    return content_type.partition(";")[0].strip().lower() == MULTIPART


async def receive(request: Request, folder: Path) -> "Received":
    """Write the files of a body into a folder and return what came.

    Raises ApiProblem for a body that is no form, HungUp when the client goes in the middle, and
    StorageFull or FolderUnwritable.
    """
    received = Received(request.headers.get("content-type", ""), folder)
    try:
        await received.read(request.stream())
    except ClientDisconnect as gone:
        raise HungUp from gone
    except FormParserError as error:
        raise _unreadable(str(error)) from error
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        received.close()
    return received


class Received:
    """The parts of a form: `files` in their order, and `fields` by their names."""

    def __init__(self, content_type: str, folder: Path) -> None:
        """Prepare to write into `folder`. Raises ApiProblem when the type names no form."""
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not is_multipart(content_type) or not boundary:
            raise ApiProblem("api.problem.no_form")
        self.files: list[Path] = []
        self.fields: dict[str, str] = {}
        self._folder = folder
        self._parts = 0
        self._name, self._header, self._headers = "", [b"", b""], {}
        self._file: IO[bytes] | None = None
        self._value = bytearray()
        self._ended = False
        self._parser = MultipartParser(boundary, self._callbacks())

    async def read(self, stream: AsyncIterator[bytes]) -> None:
        """Read the whole body. Raises FormParserError, OSError and ApiProblem."""
        async for chunk in stream:
            await to_thread.run_sync(self._parser.write, chunk)
        self._parser.finalize()
        if not self._ended:
            raise _unreadable("the last boundary is missing")

    def close(self) -> None:
        """Close the file that is being written, if any."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._add_header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._add_header(1, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._write,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise _unreadable(f"it has more than {MOST_PARTS} parts")
        self._header, self._headers, self._value = [b"", b""], {}, bytearray()

    def _add_header(self, side: int, part: bytes) -> None:
        self._header[side] += part
        if len(self._header[side]) > _LONGEST_HEADER:
            raise _unreadable("a header of a part is too long")

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[name.lower()] = value
        self._header = [b"", b""]

    def _open(self) -> None:
        """Begin a file, or a field: what a part is stands in its headers."""
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options:
            name = safe_name(options[b"filename"].decode("utf-8", "replace"))
            self.files.append(_free(self._folder, name))
            self._file = self.files[-1].open("xb")

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > LARGEST_FIELD:
            raise _unreadable(f"the field {self._name} is too long")

    def _end_part(self) -> None:
        if self._file is None:
            self.fields[self._name] = self._value.decode("utf-8", "replace")
        self.close()

    def _end(self) -> None:
        self._ended = True


def safe_name(name: str) -> str:
    """Return a file name without folders, leading dots and what disks cannot write."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(c for c in last if c.isprintable() and c not in '<>:"|?*').strip(" .")
    # Bytes count on disk; a name of Chinese characters has three for each.
    while len(kept.encode("utf-8", "replace")) > _LONGEST_NAME:
        kept = kept[1:]
    return kept.strip(" .") or "upload"


def _free(folder: Path, name: str) -> Path:
    target, number = folder / name, 1
    while target.exists():
        number += 1
        target = folder / f"{number}-{name}"
    return target


def _unreadable(reason: str) -> ApiProblem:
    return ApiProblem("api.problem.unreadable", values={"reason": reason})
