"""Sends the report of an evaluation as a file, in each of its forms."""

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from easytune import i18n
from easytune.errors import EasyTuneError
from easytune.evaluation_errors import EvaluationMissing, EvaluationUnfinished
from easytune.i18n import t
from easytune.webui.context import LANGUAGE_COOKIE, Context
from easytune.webui.spoken import sentence

if TYPE_CHECKING:
    from easytune.services.evaluation_report import Form

PATH = "/evaluations/{evaluation}/{form}"
FORMS: "tuple[Form, ...]" = ("html", "markdown", "csv", "rows", "json")


class EvaluationDownload:
    """The route at `PATH`."""

    def __init__(self, context: Context) -> None:
        self._evaluations = context.evaluations
        self._default_language = context.default_language

    async def answer(self, request: Request) -> Response:
        """Send the report; 404 when there is no such evaluation or form."""
        evaluation, wanted = request.path_params["evaluation"], request.path_params["form"]
        chosen = request.cookies.get(LANGUAGE_COOKIE)
        lang = chosen if chosen in i18n.languages() else self._default_language
        form: Form | None = next((one for one in FORMS if str(one) == wanted), None)
        if form is None:
            return PlainTextResponse("There is no report of that kind.", status_code=404)
        try:
            return await run_in_threadpool(self._file, evaluation, form, lang)
        except (EvaluationMissing, EvaluationUnfinished) as error:
            return PlainTextResponse(sentence(error, lang), status_code=404)
        except EasyTuneError as error:
            return PlainTextResponse(sentence(error, lang), status_code=503)

    def _file(self, evaluation: str, form: "Form", lang: str) -> Response:
        # The reports take a while to import, and the page opens without them.
        from easytune.services import evaluation_report

        text = evaluation_report.render(self._evaluations, evaluation, form, lang)
        name = f"{evaluation}{evaluation_report.ENDINGS[form]}"
        headers = {
            "content-disposition": f"attachment; filename*=UTF-8''{quote(name)}",
            # A report quotes models; opened in the browser it must not run what they wrote.
            "content-security-policy": "sandbox",
            "x-content-type-options": "nosniff",
        }
        media = evaluation_report.MEDIA[form]
        return Response(text, media_type=f"{media}; charset=utf-8", headers=headers)


def links(evaluation: str, lang: str) -> str:
    """Return links to the report of an evaluation in all its forms, as HTML."""
    anchors = "".join(_link(evaluation, form, lang) for form in FORMS)
    title = escape(t("results.report.title", lang))
    return f'<span class="compare-export results-export"><span>{title}</span>{anchors}</span>'


def _link(evaluation: str, form: str, lang: str) -> str:
    address = escape(f"evaluations/{quote(evaluation, safe='')}/{form}", quote=True)
    return (
        f'<a class="et-mini" href="{address}" download data-form="{form}">'
        f"{escape(t(f'results.report.{form}', lang))}</a>"
    )
