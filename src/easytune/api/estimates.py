"""The routes about runs that have not begun: what one will take, intents, launch checks."""

import time

from fastapi import APIRouter, Request

from easytune import intents
from easytune.api.estimate_bodies import CheckIn, CheckOut, EstimateIn, EstimateOut, IntentsOut
from easytune.api.languages import preferred
from easytune.api.services import Services
from easytune.config import TrainConfig
from easytune.services.advice import Advice, Advised
from easytune.services.checks import Checks

CHECKS = "/api/checks"
_ASK_AGAIN_SECONDS = 0.1


def router(services: Services) -> APIRouter:
    """Return the routes, answered by these services."""
    routes = APIRouter(tags=["estimates"])

    @routes.post("/api/estimate")
    def estimate_run(asked: EstimateIn, request: Request) -> EstimateOut:
        advised = _patiently(services.advice, asked.config, asked.patience_seconds)
        return EstimateOut.of(advised, preferred(request))

    @routes.get("/api/intents")
    def list_intents(request: Request) -> IntentsOut:
        lang = preferred(request)
        return IntentsOut.of(intents.load(services.home, lang), lang)

    _add_checks(routes, services.checks)
    return routes


def _add_checks(routes: APIRouter, checks: Checks) -> None:
    @routes.post(CHECKS, status_code=202)
    def start_check(asked: CheckIn, request: Request) -> CheckOut:
        check = checks.start(asked.config, asked.wishes)
        return CheckOut.of(checks.story(check), preferred(request))

    @routes.get(CHECKS + "/{id}")
    def read_check(id: str, request: Request) -> CheckOut:
        return CheckOut.of(checks.story(id), preferred(request))

    @routes.post(CHECKS + "/{id}/cancel")
    def cancel_check(id: str, request: Request) -> CheckOut:
        checks.stop(id)
        return CheckOut.of(checks.story(id), preferred(request))


def _patiently(advice: Advice, config: TrainConfig, seconds: float) -> Advised:
    """Return what is known of a run once its rows are counted, or when patience ends."""
    deadline = time.monotonic() + seconds
    while (advised := advice.about(config)).is_measuring and time.monotonic() < deadline:
        time.sleep(_ASK_AGAIN_SECONDS)
    return advised
