"""Sends a comparison as a file: the report in each of its forms, and the votes as preferences."""

from html import escape
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from easytune import i18n
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.inference_errors import ComparisonMissing
from easytune.services import comparison_report
from easytune.services.comparison_report import Form
from easytune.webui.context import LANGUAGE_COOKIE, Context
from easytune.webui.spoken import sentence

PATH = "/comparisons/{comparison}/{form}"
PREFERENCES = "preferences"
FORMS: dict[Form, tuple[str, str]] = {
    "html": ("html", "text/html"),
    "markdown": ("md", "text/markdown"),
    "csv": ("csv", "text/csv"),
    "json": ("json", "application/json"),
}


class ComparisonDownload:
    """The route at `PATH`."""

    def __init__(self, context: Context) -> None:
        self._comparisons = context.comparisons
        self._votes = context.votes
        self._default_language = context.default_language

    async def answer(self, request: Request) -> Response:
        """Send the report; 404 when there is no such comparison or form."""
        comparison, form = request.path_params["comparison"], request.path_params["form"]
        chosen = request.cookies.get(LANGUAGE_COOKIE)
        lang = chosen if chosen in i18n.languages() else self._default_language
        if form not in FORMS and form != PREFERENCES:
            return PlainTextResponse("There is no report of that kind.", status_code=404)
        try:
            return await run_in_threadpool(self._file, comparison, form, lang)
        except ComparisonMissing as error:
            return PlainTextResponse(sentence(error, lang), status_code=404)
        except EasyTuneError as error:
            return PlainTextResponse(sentence(error, lang), status_code=503)

    def _file(self, comparison: str, form: str, lang: str) -> Response:
        if form == PREFERENCES:
            text = self._votes.preferences(comparison)
            return _attached(text, f"preferences-{comparison}.jsonl", "application/jsonl")
        kind: Form = next(kind for kind in FORMS if kind == form)
        ending, media = FORMS[kind]
        report = self._report(comparison, kind, lang)
        return _attached(report, f"comparison-{comparison}.{ending}", media)

    def _report(self, comparison: str, form: Form, lang: str) -> str:
        whole = self._comparisons.get(comparison)
        scores, pairs = self._comparisons.scores(comparison), self._votes.pairs(comparison)
        return comparison_report.render(whole, scores, pairs, form, lang)


def links(comparison: str, lang: str) -> str:
    """Return links to the report of a comparison in all its forms, as HTML."""
    anchors = "".join(_link(comparison, form, t(f"compare.export.{form}", lang)) for form in FORMS)
    title = escape(t("compare.export.title", lang))
    return f'<span class="compare-export"><span>{title}</span>{anchors}</span>'


def preferences_link(comparison: str, lang: str) -> str:
    """Return a link to the votes of a comparison as training data, as HTML."""
    return _link(comparison, PREFERENCES, t("compare.export.preferences", lang))


def _link(comparison: str, form: str, text: str) -> str:
    address = f"comparisons/{quote(comparison, safe='')}/{form}"
    return (
        f'<a class="et-mini" href="{escape(address, quote=True)}" download'
        f' data-form="{form}">{escape(text)}</a>'
    )


def _attached(text: str, name: str, media: str) -> Response:
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        # A report quotes models; opened in the browser it must not run what they wrote.
        "content-security-policy": "sandbox",
        "x-content-type-options": "nosniff",
    }
    return Response(text, media_type=f"{media}; charset=utf-8", headers=headers)
