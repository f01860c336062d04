"""Who may call the API.

A key opens it from anywhere. Without one only programs on this machine may call: judged by the
address they call from and by the name they call, and never when a tunnel or a proxy passes calls
on, whose address says nothing about the caller.
"""

import ipaddress
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from anyio import to_thread
from starlette.requests import HTTPConnection

from easytune.api.problems import NOT_AGAIN, ApiProblem
from easytune.services.attempts import Attempts

WRONG_KEYS_PER_ADDRESS = 20
WRONG_KEYS_IN_ALL = 200
LONGEST_KEY = 512
# OpenAI's client cannot be made without a key; with this one it says that it has none.
NO_KEY = ("", "bearer", "bearer none")
PASSED_ON = frozenset({"cf-connecting-ip", "forwarded", "via", "x-real-ip"})


class KnownKeys(Protocol):
    """Keys that open something."""

    def check(self, secret: str) -> object | None:
        """Return whose key a secret is; None for nobody's."""
        ...


Visitor = Callable[[HTTPConnection], str | None]


class Access:
    """Judges calls before anything of them is read."""

    def __init__(
        self,
        keys: KnownKeys,
        tunnelled: bool,
        visitor: Visitor | None = None,
        words: str = "api.problem",
    ) -> None:
        """Take the keys there are, and whether a tunnel passes calls on from elsewhere.

        With one, nobody counts as being on this machine.

        `visitor` tells who is logged in to the page; that opens the documentation only, as a
        cookie is sent by the browser whoever made it call. `words`: the texts `no_key` and
        `wrong_key` below this key of the locales say where keys come from.
        """
        self._words = words
        self._keys = keys
        self._tunnelled = tunnelled
        self._visitor = visitor
        self._attempts = Attempts(WRONG_KEYS_PER_ADDRESS, WRONG_KEYS_IN_ALL)

    async def judge(self, connection: HTTPConnection, is_documentation: bool) -> None:
        """Return if the call is welcome. Raises ApiProblem: 401, or 429 after many wrong keys."""
        given = connection.headers.get("authorization", "").strip()
        if given.lower() not in NO_KEY:
            await self._check(given, connection)
        elif is_documentation and self._visitor is not None and self._visitor(connection):
            return
        elif not self._is_local(connection):
            raise _refused(f"{self._words}.no_key", "missing_api_key")

    async def _check(self, given: str, connection: HTTPConnection) -> None:
        scheme, _, secret = given.partition(" ")
        secret = secret.strip()
        is_key = scheme.lower() == "bearer" and len(secret) <= LONGEST_KEY
        if is_key and await to_thread.run_sync(self._keys.check, secret) is not None:
            return
        address = connection.client.host if connection.client else "?"
        if seconds := self._attempts.wait_seconds(address):
            raise ApiProblem(
                "api.problem.too_many_wrong_keys",
                429,
                "rate_limit_exceeded",
                values={"seconds": seconds},
                headers={"retry-after": str(seconds), **NOT_AGAIN},
            )
        self._attempts.failed(address)
        raise _refused(f"{self._words}.wrong_key", "invalid_api_key")

    def _is_local(self, connection: HTTPConnection) -> bool:
        headers = connection.headers
        passed_on = any(n in PASSED_ON or n.startswith("x-forwarded-") for n in headers)
        if self._tunnelled or passed_on or connection.client is None:
            return False
        name = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        return _is_loopback(connection.client.host) and (name == "localhost" or _is_loopback(name))


def _refused(text: str, code: str) -> ApiProblem:
    return ApiProblem(text, 401, code, headers={"www-authenticate": "Bearer"})


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
