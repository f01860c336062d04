"""Sends the rows of a version as a file, or only those that cannot be used."""

import shutil
import tempfile
from html import escape
from pathlib import Path
from typing import get_args
from urllib.parse import quote

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from easytune import i18n
from easytune.data.stored import Reference
from easytune.data.tasks import Form
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.webui.context import LANGUAGE_COOKIE, Context
from easytune.webui.spoken import sentence

PATH = "/datasets/{dataset}/{number:int}/{form}"
FORMS: tuple[Form, ...] = get_args(Form)
NAMES: dict[Form, str] = {"jsonl": "JSONL", "json": "JSON", "csv": "CSV", "parquet": "Parquet"}


class DatasetDownload:
    """The route at `PATH`; with `?only=problems` it sends the rows that cannot be used."""

    def __init__(self, context: Context) -> None:
        self._library = context.datasets.library
        self._home = context.home
        self._default_language = context.default_language

    async def answer(self, request: Request) -> Response:
        """Send the file; 404 when there is no such version or form."""
        dataset, form = request.path_params["dataset"], request.path_params["form"]
        chosen = request.cookies.get(LANGUAGE_COOKIE)
        lang = chosen if chosen in i18n.languages() else self._default_language
        known: Form | None = next((one for one in FORMS if one == form), None)
        if known is None:
            return PlainTextResponse("There is no file of that kind.", status_code=404)
        number, only = request.path_params["number"], request.query_params.get("only")
        try:
            return await run_in_threadpool(self._file, dataset, number, known, only == "problems")
        except EasyTuneError as error:
            return PlainTextResponse(sentence(error, lang), status_code=404)

    def _file(self, dataset: str, number: int, form: Form, problems_only: bool) -> Response:
        self._home.mkdir(parents=True, exist_ok=True)
        # In the home, which is where there is room for datasets.
        folder = Path(tempfile.mkdtemp(prefix=".download-", dir=self._home))
        name = f"{dataset}-{number}{'-problems' if problems_only else ''}.{form}"
        try:
            file = self._library.export(
                dataset, number, folder / f"rows.{form}", form, problems_only=problems_only
            )
        except EasyTuneError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        headers = {
            "content-disposition": f"attachment; filename*=UTF-8''{quote(name)}",
            "x-content-type-options": "nosniff",
        }
        return FileResponse(
            file, media_type="application/octet-stream", headers=headers,
            background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
        )  # fmt: skip


def address(reference: Reference, form: Form, *, problems_only: bool = False) -> str:
    """Return the address of a version's file, relative to the page."""
    only = "?only=problems" if problems_only else ""
    return f"datasets/{quote(reference.id, safe='')}/{reference.number}/{form}{only}"


def menu(reference: Reference, lang: str) -> str:
    """Return a small menu with a link per form, as HTML."""
    links = "".join(
        f'<a href="{escape(address(reference, form))}" download data-form="{form}">'
        f"{NAMES[form]}</a>"
        for form in FORMS
    )
    return (
        f'<details class="data-menu"><summary class="et-mini">'
        f"{escape(t('datasets.download', lang))}</summary><div>{links}</div></details>"
    )


def problems_link(reference: Reference, lang: str) -> str:
    """Return a link to the rows of a version that cannot be used, as HTML."""
    where = escape(address(reference, "jsonl", problems_only=True))
    said = escape(t("datasets.problems.download", lang))
    return f'<a class="et-mini" href="{where}" download data-form="problems">{said}</a>'
