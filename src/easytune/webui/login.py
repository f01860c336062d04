"""One password for all visitors, while the app can be reached from other machines.

Sessions are signed cookies: they survive a restart, and end when the password changes. Without
one, everything is closed but the login page and the health check.
"""

import base64
import hashlib
import hmac
import html
import os
import secrets
import time
from pathlib import Path

from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from easytune.api import languages
from easytune.i18n import t
from easytune.services.attempts import Attempts

COOKIE = "et_session"
VISITOR = "visitor"
SESSION_SECONDS = 30 * 24 * 3600
# Gradio asks its own server for the last one while starting; it only says "ready".
OPEN_PATHS = frozenset({"/healthz", "/login", "/gradio_api/startup-events"})


class Sessions:
    """Issues and checks signed session cookies."""

    def __init__(self, key: bytes, password: str) -> None:
        self._key = hmac.digest(key, password.encode(), hashlib.sha256)

    def issue(self, now: float | None = None) -> str:
        """Return a new cookie value."""
        expires = str(int((time.time() if now is None else now) + SESSION_SECONDS))
        return f"{expires}.{self._signature(expires)}"

    def is_valid(self, cookie: str | None) -> bool:
        """Tell whether a cookie was issued here, for this password, and has not expired."""
        expires, _, signature = (cookie or "").partition(".")
        known = hmac.compare_digest(signature.encode(), self._signature(expires).encode())
        return known and expires.isdigit() and int(expires) > time.time()

    def visitor(self, connection: HTTPConnection) -> str | None:
        """Return who asks, or None without a valid session."""
        return VISITOR if self.is_valid(connection.cookies.get(COOKIE)) else None

    def _signature(self, text: str) -> str:
        digest = hmac.digest(self._key, text.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class LoginPage:
    """The form that asks for the password."""

    def __init__(self, sessions: Sessions, password: str, default_language: str) -> None:
        self._sessions = sessions
        self._password = password.encode()
        self._default_language = default_language
        self._attempts = Attempts()

    async def answer(self, request: Request) -> Response:
        """Show the form, or let in whoever sends the right password."""
        if request.method != "POST":
            return self._form(request, "", 200)
        address = request.client.host if request.client else "?"
        if wait := self._attempts.wait_seconds(address):
            return self._form(request, "app.login_wait", 429, seconds=wait)
        given = (await request.form()).get("password")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), self._password):
            self._attempts.failed(address)
            return self._form(request, "app.login_wrong", 401)
        return self._let_in(request)

    def _let_in(self, request: Request) -> Response:
        response = RedirectResponse("./", status_code=303)
        response.set_cookie(
            COOKIE,
            self._sessions.issue(),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    def _form(self, request: Request, problem: str, status: int, **values: int) -> Response:
        lang = languages.preferred(request, self._default_language)
        texts = {
            "lang": lang,
            "title": t("app.login_title", lang),
            "password": t("app.login_password", lang),
            "enter": t("app.login_enter", lang),
            "problem": t(problem, lang, **values) if problem else "",
        }
        page = _PAGE.format_map({name: html.escape(text) for name, text in texts.items()})
        return HTMLResponse(page, status_code=status)


class LoginGate:
    """Refuses every request without a valid session, but for the few open paths."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        guarded = scope["type"] in ("http", "websocket") and scope["path"] not in OPEN_PATHS
        if guarded and self._sessions.visitor(HTTPConnection(scope)) is None:
            await self._refusal(scope)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response:
        wants_page = "text/html" in HTTPConnection(scope).headers.get("accept", "")
        if wants_page or scope["path"] == "/":
            return RedirectResponse("/login", status_code=303)
        return PlainTextResponse("Log in first.", status_code=401)


def secret_key(home: Path) -> bytes:
    """Return the key that signs sessions, made on first use and readable by its owner only."""
    file = home / "session.key"
    if not file.exists():
        home.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".session.key.{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(secrets.token_bytes(32))
        draft.replace(file)
    return file.read_bytes()


_PAGE = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><title>EasyTune</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1c2230; --line: #dfe3ea;
  --accent: #4f46e5; --bad: #b3261e; }}
@media (prefers-color-scheme: dark) {{ :root {{ --page: #12151c; --card: #1a1f29; --text: #e6e9f0;
  --line: #2c3340; --accent: #6366f1; --bad: #ff8a80; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 16px;
  background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; }}
form {{ width: min(340px, 100%); padding: 28px; background: var(--card); border-radius: 12px;
  border: 1px solid var(--line); display: grid; gap: 12px; }}
h1 {{ font-size: 18px; margin: 0; }} label {{ font-size: 13px; }}
input, button {{ font: inherit; width: 100%; padding: 9px 12px; border-radius: 8px; }}
input {{ border: 1px solid var(--line); background: transparent; color: inherit; margin-top: 4px; }}
input:focus-visible {{ outline: 2px solid var(--accent); outline-offset: 0; }}
button {{ border: 0; background: var(--accent); color: #fff; font-weight: 600; cursor: pointer; }}
p {{ margin: 0; min-height: 1.5em; color: var(--bad); font-size: 13px; }}
</style></head><body>
<form method="post" action="login"><h1>{title}</h1>
<label>{password}<input id="et-password" name="password" type="password" autofocus required
 autocomplete="current-password"></label>
<button id="et-enter">{enter}</button><p id="et-problem" role="alert">{problem}</p></form>
</body></html>
"""
