"""An evaluation as a report: verdicts, figures, flips, and all it takes to repeat it."""

from typing import Literal

from easytune.services.evaluation_report_data import figures, json_text, rows_of
from easytune.services.evaluation_report_markdown import markdown
from easytune.services.evaluation_report_material import Material, gather
from easytune.services.evaluation_report_page import page
from easytune.services.evaluations import Evaluations
from easytune.services.report_table import as_csv

Form = Literal["html", "markdown", "csv", "rows", "json"]
ENDINGS: dict[Form, str] = {
    "html": ".html", "markdown": ".md", "csv": ".csv", "rows": ".rows.csv", "json": ".json",
}  # fmt: skip
"""How a file in each form is called."""
MEDIA: dict[Form, str] = {
    "html": "text/html", "markdown": "text/markdown", "csv": "text/csv", "rows": "text/csv",
    "json": "application/json",
}  # fmt: skip
"""What each form is, for a browser."""


def render(evaluations: Evaluations, evaluation: str, form: Form, lang: str) -> str:
    """Return the report of an evaluation; raises what `gather` raises."""
    return rendered(gather(evaluations, evaluation), form, lang)


def rendered(material: Material, form: Form, lang: str) -> str:
    """Return the report in a form.

    html: a page of its own, with charts. markdown: the same without charts. csv: every figure.
    rows: every answer with its scores. json: everything. The last three are for programs: their
    names are English in every language.
    """
    match form:
        case "html":
            return page(material, lang)
        case "markdown":
            return markdown(material, lang)
        case "csv":
            return as_csv(figures(material))
        case "rows":
            return as_csv(rows_of(material))
        case "json":
            return json_text(material)
