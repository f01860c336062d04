"""Our own OpenAI-compatible server of one model.

Run as `python -m easytune.serving.server <deployment folder>`, by a supervisor. It ends by itself
when its model cannot be loaded or is lost, and leaves the starting again to who supervises it.
"""

import logging
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from easytune import records, settings
from easytune.api import application, openai_routes, problems
from easytune.api.access import Access
from easytune.api.door import ApiDoor
from easytune.api.following import Follower
from easytune.api.problems import ApiProblem
from easytune.api.security import OriginGuard
from easytune.deployment_errors import AddressUnusable
from easytune.deployment_files import Deployment, DeploymentFolder, Metrics
from easytune.errors import EasyTuneError, Unexpected
from easytune.services import ports
from easytune.serving.answers import LimitedChat, Served
from easytune.serving.counting import Counter, exposition
from easytune.serving.key_file import KeyFile
from easytune.serving.one_model import OneModel
from easytune.serving.supervisor import INSTANCE, REFUSED
from easytune.settings import InferenceSection, Settings

TICK_S = 1.0
_GRACE_S = 5
_log = logging.getLogger("easytune.serving")


def main(arguments: list[str]) -> int:
    """Serve the deployment in the folder named first; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    folder = DeploymentFolder(Path(arguments[0]).resolve())
    deployment = folder.deployment()
    # What the host that holds the model reads: it is kept until we end.
    held = InferenceSection(idle_minutes=0, allow_remote_code=deployment.allow_remote_code)
    settings.save(folder.path, Settings(inference=held))
    try:
        listening = _listen(deployment.host, deployment.port)
    except OSError as error:
        reason = error.strerror or str(error)
        fail(folder, AddressUnusable(deployment.host, deployment.port, reason))
        return REFUSED
    return Server(folder, deployment).run(listening)


class Server:
    """One server, from the loading of its model to its end."""

    def __init__(self, folder: DeploymentFolder, deployment: Deployment) -> None:
        """Prepare to serve a deployment. Nothing is loaded yet."""
        self._folder, self._deployment = folder, deployment
        self._counter = Counter()
        self._chat = LimitedChat(deployment, folder.path, self._counter)
        self._told: Metrics | None = None
        self._is_lost = False
        self._ended = threading.Event()
        # Only keys open it where it asks for one, whoever calls from wherever.
        needs_key = deployment.config.server.key
        self._access = Access(KeyFile(folder), tunnelled=needs_key, words="deploy.problem")
        self._web = uvicorn.Server(
            uvicorn.Config(
                self._application(),
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )

    def run(self, listening: socket.socket) -> int:
        """Load the model and answer, until we are asked to end or the model is lost."""
        self._chat.start()
        watcher = threading.Thread(target=self._watch, name="server-watcher", daemon=True)
        try:
            self._load()
            watcher.start()
            self._web.run(sockets=[listening])
        except EasyTuneError as problem:
            self._lose(problem.code(), problem.values)
        finally:
            self._ended.set()
            self._chat.close()
        return 1 if self._is_lost else 0

    def _application(self) -> ASGIApp:
        routes = [Route("/health", self._health), Route("/metrics", self._metrics)]
        middleware = [
            Middleware(OriginGuard, only_loopback=ports.is_loopback(self._deployment.host)),
            Middleware(ApiDoor, access=self._access, build=self._api),
        ]
        return Starlette(routes=routes, middleware=middleware)

    def _api(self) -> ASGIApp:
        api = application.empty()
        models = self._chat.catalogue
        assert isinstance(models, OneModel)
        api.include_router(openai_routes.router(Served(self._chat, models), Follower()))
        return api

    async def _health(self, _: Request) -> JSONResponse:
        """Answer 200 while the model is in memory, 503 until then."""
        held = next(iter(self._chat.held()), None)
        is_well = held is not None and held.state in ("ready", "answering")
        said = {
            "status": "ok" if is_well else (held.phase if held else "starting"),
            "model": self._deployment.name,
            "instance": os.environ.get(INSTANCE, ""),
        }
        return JSONResponse(said, 200 if is_well else 503)

    async def _metrics(self, request: Request) -> Any:
        try:
            await self._access.judge(request, is_documentation=False)
        except ApiProblem as problem:
            return problems.answer(request, problem)
        return PlainTextResponse(exposition(self._figures()))

    def _load(self) -> None:
        _log.info("loading %s", self._deployment.source.title)
        self._chat.load(self._deployment.name, self._deployment.config.loading)

    def _watch(self) -> None:
        """Write what we have done, and end when the model is gone."""
        was_ready = False
        while not self._ended.wait(TICK_S):
            self._note()
            held = next(iter(self._chat.held()), None)
            if held is not None and held.failure is not None:
                return self._lose(*held.failure)
            if held is None and was_ready:
                return self._lose(*_told(Unexpected("the model was unloaded")))
            if held is not None and held.state != "loading" and not was_ready:
                was_ready = True
                _log.info("serving %s", self._deployment.name)
        return None

    def _lose(self, code: str, values: dict[str, Any]) -> None:
        _log.error("lost the model: %s %s", code, values)
        self._is_lost = True
        write_failure(self._folder, code, values)
        self._web.should_exit = True

    def _note(self) -> None:
        figures = self._figures()
        if figures == self._told:
            return
        try:
            records.write(self._folder.metrics, figures.model_dump(mode="json"))
        except OSError:
            # A full disk must not end a server that answers.
            return
        self._told = figures

    def _figures(self) -> Metrics:
        held = sum(model.memory_gb for model in self._chat.held())
        return self._counter.read(len(self._chat.answering()), held)


def fail(folder: DeploymentFolder, problem: EasyTuneError) -> None:
    """Write why a server cannot go on."""
    write_failure(folder, *_told(problem))


def write_failure(folder: DeploymentFolder, code: str, values: dict[str, Any]) -> None:
    """Write why a server cannot go on, for its supervisor to read."""
    try:
        records.write(folder.failure, {"code": code, "values": values})
    except (OSError, TypeError, ValueError):
        _log.exception("could not write why")


def _told(problem: EasyTuneError) -> tuple[str, dict[str, Any]]:
    return problem.code(), problem.values


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises OSError."""
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((name, port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
