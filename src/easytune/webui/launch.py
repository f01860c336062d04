"""Opens the app: picks the port, guards the doors, serves until it is asked to end."""

import logging
import os
import signal
import sys
import threading
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from easytune import __version__, i18n, paths
from easytune.api.access import Access
from easytune.api.door import ApiDoor
from easytune.api.security import OriginGuard, is_loopback
from easytune.errors import PasswordNeeded
from easytune.i18n import t
from easytune.import_hooks import at_once
from easytune.services import ports
from easytune.webui import (
    app,
    compare_downloads,
    data_download,
    language,
    results_downloads,
    theme,
)
from easytune.webui.compare_downloads import ComparisonDownload
from easytune.webui.context import Context
from easytune.webui.data_download import DatasetDownload
from easytune.webui.downloads import AdapterDownload
from easytune.webui.late_config import Page
from easytune.webui.login import LoginGate, LoginPage, Sessions, secret_key
from easytune.webui.results_downloads import EvaluationDownload

PASSWORD = "EASYTUNE_PASSWORD"
_SUMMARY_FREQUENCY = "GRADIO_ANALYTICS_CACHE_FREQUENCY"


@dataclass(frozen=True)
class Door:
    """Who may come in: where the app listens, and the password that is asked for."""

    host: str
    share: bool
    password: str | None

    @property
    def is_public(self) -> bool:
        """Tell whether anybody but this machine can reach the app."""
        return self.share or not is_loopback(self.host)


def run(
    host: str = "127.0.0.1",
    port: int = 7860,
    share: bool = False,
    home: Path | None = None,
    lang: str | None = None,
    browser: bool = True,
    console: str = i18n.DEFAULT_LANGUAGE,
) -> int:
    """Serve the app until SIGTERM or Ctrl+C; runs go on after that. Returns the exit code.

    `lang` is the page's language for visitors who have not chosen one; None leaves that to their
    browser. `console` is the language of what is printed.

    Raises PasswordNeeded when others could reach the app and no password is set.
    """
    door = Door(host, share, os.environ.get(PASSWORD) or None)
    if door.is_public and not door.password:
        raise PasswordNeeded(variable=PASSWORD)
    free = ports.next_free(host, port)
    if free is None:
        print(t("app.no_free_port", console, first=port, last=port + ports.TRIED - 1, host=host))
        return 1
    if free != port:
        print(t("app.port_taken", console, taken=port, port=free), flush=True)
    return _serve(door, free, (home or paths.home()).resolve(), lang, browser, console)


def _serve(door: Door, port: int, home: Path, lang: str | None, browser: bool, console: str) -> int:
    ended = _ending_signals()
    # After each click Gradio would draw up a table of how long clicks took, which nobody reads:
    # for that it loads pandas, and where pyarrow is loading as well that fails.
    os.environ[_SUMMARY_FREQUENCY] = str(sys.maxsize)
    context = Context.of(home, lang or console)
    with at_once():
        page = app.build(context)
    _let_the_queue_rest(page)
    _stay_off_the_proxy(door.host)
    _, url, public = page.launch(**_launch_options(door, port, context, lang))
    page.draw_up()
    context.start()
    print(t("app.address", console, url=url), flush=True)
    if door.share:
        print(t("app.public_address" if public else "app.share_failed", console, url=public))
    print(t("app.stop_hint", console), flush=True)
    if browser and _has_browser():
        webbrowser.open(url)
    ended.wait()
    _close(page, context)
    return 0


def _let_the_queue_rest(page: Page) -> None:
    # It looks for work a thousand times a second otherwise, which takes a twelfth of a core.
    if hasattr(page._queue, "sleep_when_free"):
        page._queue.sleep_when_free = 0.02


def _launch_options(door: Door, port: int, context: Context, lang: str | None) -> dict[str, Any]:
    routes = [
        Route("/healthz", _health),
        Route("/download/{run_id}", AdapterDownload(context.runs).answer),
        Route(compare_downloads.PATH, ComparisonDownload(context).answer),
        Route(data_download.PATH, DatasetDownload(context).answer),
        Route(results_downloads.PATH, EvaluationDownload(context).answer),
    ]
    visitor, gate = None, []
    if door.password:
        sessions = Sessions(secret_key(context.home), door.password)
        entry = LoginPage(sessions, door.password, context.default_language)
        routes.append(Route("/login", entry.answer, methods=["GET", "POST"]))
        gate = [Middleware(LoginGate, sessions=sessions)]
        visitor = sessions.visitor
    middleware = [
        Middleware(OriginGuard, only_loopback=not door.is_public),
        # Before the gate: programs have keys, not sessions.
        Middleware(
            ApiDoor,
            access=Access(context.keys, tunnelled=door.share, visitor=visitor),
            build=lambda: _api(context),
        ),
        *gate,
    ]
    return {
        "server_name": door.host,
        "server_port": port,
        "share": door.share,
        "auth_dependency": visitor,
        "app_kwargs": {
            "routes": routes,
            "middleware": middleware,
            "docs_url": None,
            "openapi_url": None,
        },
        "theme": theme.theme(),
        "head": theme.head(lang),
        "i18n": language.translations(),
        "run_history": False,
        "enable_monitoring": False,
        "footer_links": [],
        "ssr_mode": False,
        "mcp_server": False,
        "pwa": False,
        "inbrowser": False,
        "quiet": True,
        "show_error": False,
        "prevent_thread_lock": True,
        # Gradio would ask itself for its page, and give up where that takes more than seconds.
        "_frontend": False,
    }


def _api(context: Context) -> ASGIApp:
    # Its models and routes take a while to build, and not everybody calls them.
    from easytune.api import application
    from easytune.api.services import Services

    return application.build(
        Services(
            chat=context.chat,
            conversations=context.conversations,
            datasets=context.datasets,
            advice=context.advice,
            checks=context.checks,
            evaluations=context.evaluations,
            runs=context.runs,
            registry=context.registry,
            deployments=context.deployments,
            exports=context.exports,
            inspections=context.inspections,
            home=context.home,
        )
    )


async def _health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "version": __version__})


def _ending_signals() -> threading.Event:
    """Return an event that is set when somebody wants the server to end."""
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, end)
    return ended


def _close(page: Page, context: Context) -> None:
    context.close()
    # Open pages ask every second and would otherwise be waited for.
    page.server.force_exit = True
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    page.close(verbose=False)


def _stay_off_the_proxy(host: str) -> None:
    """Let Gradio's own start-up request to this machine go past a configured proxy."""
    for name in ("NO_PROXY", "no_proxy"):
        known = os.environ.get(name, "")
        os.environ[name] = ",".join(filter(None, [known, "localhost", "127.0.0.1", "::1", host]))


def _has_browser() -> bool:
    """Tell whether opening a browser makes sense: never on a machine without a screen."""
    if os.name == "nt" or os.uname().sysname == "Darwin":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
