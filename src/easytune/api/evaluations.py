"""The routes about evaluations: start, status, result, compare, stop, reports."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from easytune.api import job_routes
from easytune.api.evaluation_bodies import (
    EvaluationIn,
    EvaluationLine,
    EvaluationOut,
    EvaluationsOut,
    EvaluationTableOut,
    ResultOut,
)
from easytune.api.job_routes import Limit
from easytune.api.languages import preferred
from easytune.api.services import Services
from easytune.evaluation_errors import EvaluationUnfinished
from easytune.services import evaluation_report
from easytune.services.evaluation_report import MEDIA, Form
from easytune.services.evaluations import Evaluations

PATH = "/api/evaluations"
MOST_COMPARED = 16
Ids = Annotated[list[str], Query(min_length=1, max_length=MOST_COMPARED)]


def router(services: Services) -> APIRouter:
    """Return the routes, answered by these services."""
    routes = APIRouter(tags=["evaluations"])
    _add_work(routes, services)
    _add_results(routes, services.evaluations)
    job_routes.add(routes, PATH, "evaluation", services.evaluations, EvaluationOut)
    return routes


def _add_work(routes: APIRouter, services: Services) -> None:
    evaluations = services.evaluations

    @routes.get(PATH)
    def list_evaluations(search: str = "", limit: Limit = 200) -> EvaluationsOut:
        found = evaluations.list(search)[:limit]
        return EvaluationsOut(evaluations=[EvaluationLine.of(one) for one in found])

    @routes.post(PATH, status_code=202)
    def start_evaluation(asked: EvaluationIn, request: Request) -> EvaluationOut:
        for name in asked.config.candidates.models:
            services.model(name)
        return _shown(evaluations, evaluations.submit(asked.config), request)

    @routes.post(PATH + "/{id}/resume", status_code=202)
    def resume_evaluation(id: str, request: Request) -> EvaluationOut:
        return _shown(evaluations, evaluations.resume(id), request)


def _add_results(routes: APIRouter, evaluations: Evaluations) -> None:
    # Before the routes with an id, or "compare" would be taken for one.
    @routes.get(PATH + "/compare")
    def compare_evaluations(ids: Ids) -> EvaluationTableOut:
        return EvaluationTableOut.of(evaluations.compare(ids))

    @routes.get(PATH + "/{id}/result")
    def read_result(id: str, request: Request) -> ResultOut:
        story = evaluations.story(id)
        if story.result is None:
            raise EvaluationUnfinished(id)
        return ResultOut.of(story, story.result, preferred(request))

    @routes.get(PATH + "/{id}/report")
    def read_report(id: str, request: Request, form: Form = "html") -> Response:
        report = evaluation_report.render(evaluations, id, form, preferred(request))
        # A report quotes models; opened in a browser it must not run what they wrote.
        safe = {"content-security-policy": "sandbox", "x-content-type-options": "nosniff"}
        return Response(report, media_type=f"{MEDIA[form]}; charset=utf-8", headers=safe)


def _shown(evaluations: Evaluations, evaluation: str, request: Request) -> EvaluationOut:
    return EvaluationOut.of(evaluations.story(evaluation), preferred(request))
