"""Keeps other web sites away from what listens on this machine.

A page open in the same browser can send requests to 127.0.0.1. Gradio executes such a POST and, for
other hosts, even lets the foreign page read the answer; so requests are judged here first.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Tell whether a host name can only be reached from this machine."""
    return host.strip("[]").lower() in LOOPBACK


class OriginGuard:
    """Refuses requests that another site's page makes, and names that are not this machine's."""

    def __init__(self, app: ASGIApp, only_loopback: bool) -> None:
        self._app = app
        self._only_loopback = only_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and not self._is_welcome(Headers(scope=scope)):
            refusal = PlainTextResponse("Requests from other sites are refused.", status_code=403)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_welcome(self, headers: Headers) -> bool:
        host = headers.get("host", "")
        # A foreign name that resolves to 127.0.0.1 would make its page same-origin with us.
        if self._only_loopback and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return False
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != (
            "navigate"
        ):
            return False
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == host
