"""Where the API stands in front of the page: which calls are its own, and who gets in."""

from collections.abc import Callable

from fastapi import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from easytune.api import problems
from easytune.api.access import Access
from easytune.api.problems import ApiProblem

ROOTS = ("/v1", "/api")
DOCUMENTATION = frozenset({"/api", "/api/", "/api/openapi.json"})
LARGEST_BODY = 8 << 20
# Files go to disk as they come, so there may be any number of gigabytes.
UPLOADS = "/api/datasets"
MULTIPART = "multipart/form-data"


class ApiDoor:
    """Middleware: answers what is below the roots itself, and passes everything else on.

    The application is built by the first call, not while the page starts.
    """

    def __init__(self, app: ASGIApp, access: Access, build: Callable[[], ASGIApp]) -> None:
        self._app = app
        self._access = access
        self._build = build
        self._api: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_ours(scope["path"]):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        is_documentation = scope["path"] in DOCUMENTATION and scope["method"] in ("GET", "HEAD")
        try:
            await self._access.judge(connection, is_documentation)
            is_upload = _is_upload(connection)
            if not is_upload:
                _check_length(connection)
        except ApiProblem as problem:
            await problems.answer(connection, problem)(scope, receive, send)
            return
        self._api = self._api or self._build()
        await self._api(scope, receive if is_upload else _limited(receive), send)


def _is_ours(path: str) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in ROOTS)


def _is_upload(connection: HTTPConnection) -> bool:
    kind = connection.headers.get("content-type", "").lower()
    is_there = connection.scope["path"] == UPLOADS and connection.scope["method"] == "POST"
    return is_there and kind.startswith(MULTIPART)


def _check_length(connection: HTTPConnection) -> None:
    length = connection.headers.get("content-length", "0")
    if length.isdigit() and int(length) > LARGEST_BODY:
        # The body is not read, so the connection cannot be used again.
        raise ApiProblem(
            "api.problem.too_large",
            413,
            "request_too_large",
            headers={"connection": "close"},
        )


def _limited(receive: Receive) -> Receive:
    """Return a `receive` that ends a body which is larger than its sender said."""
    got = 0

    async def limited() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        if got > LARGEST_BODY:
            raise HTTPException(413)
        return message

    return limited
