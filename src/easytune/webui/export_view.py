"""What the page says about exports: pure functions from stories and certificates to markup.

Every text that comes from a model, a file or a person is escaped here.
"""

from collections.abc import Sequence
from html import escape

from easytune import quantities
from easytune.i18n import has, t
from easytune.services import export_sheet
from easytune.services.export_order import Offer
from easytune.services.export_sheet import Sheet
from easytune.services.export_story import ExportStory
from easytune.services.exports import ExportSummary
from easytune.services.report_table import Table
from easytune.webui import job_view, strength_view
from easytune.webui.run_view import ACTIVE
from easytune.webui.spoken import sentence

MOST_LISTED = 4
_HASH_SHOWN = 12
_WAYS = (("chat-with", "chat"), ("evaluate", "evaluate"), ("deploy", "deploy"))
"""Attributes of buttons that lead to other tabs with a model, and what the buttons say."""


class ExportView:
    """How an export is shown: how far it is, then its certificate."""

    name = "export"
    more: tuple[str, ...] = ("certificate", "curve")

    clicks = strength_view.CLICKS

    def status(self, story: ExportStory, lang: str) -> str:
        """Return the state, how many bytes are done, and how long the rest takes."""
        share = min(1.0, story.done / story.total) if story.total else 0.0
        left = story.seconds_left if story.done < story.total else None
        is_known = bool(story.total)
        progress = job_view.bar(share, story, is_known=is_known)
        progress += job_view.under(
            "export", _so_far(story, lang), job_view.times("export", story, left, lang)
        )
        return job_view.status("export", story, _doing(story, lang), progress, lang)

    def further(self, story: ExportStory, lang: str) -> dict[str, str]:
        """Return the certificate, or what was measured at several strengths."""
        found = export_sheet.sheet(story, lang)
        curve = story.folder.curve() if story.order.config.what.strengths else None
        return {
            "certificate": certificate(found, story, lang) if found else "",
            "curve": strength_view.draw(curve, lang) if curve else "",
        }


def _doing(story: ExportStory, lang: str) -> str:
    if (waiting := job_view.waiting("export", story, lang)) is not None:
        return waiting
    if story.state not in ("starting", "running") or not story.phase:
        return ""
    key = f"cli.phase.{story.phase}"
    return t(key, lang) if has(key) else story.phase


def _so_far(story: ExportStory, lang: str) -> str:
    is_counted = story.total and story.state in ACTIVE
    return export_sheet.so_far(story, lang) if is_counted else ""


def targets(offers: Sequence[Offer], chosen: str, lang: str) -> str:
    """Return a card for every target; one that is out of reach says why, and what helps.

    What stands in the way of all is said once, beside the models.
    """
    whys = [sentence(one.problem, lang) if one.problem is not None else "" for one in offers]
    if len(set(whys)) == 1:
        whys = [""] * len(whys)
    cards = "".join(
        _card(offer, offer.target == chosen, why, lang)
        for offer, why in zip(offers, whys, strict=True)
    )
    title = escape(t("export.targets", lang), quote=True)
    return f'<div class="export-targets" role="radiogroup" aria-label="{title}">{cards}</div>'


def _card(offer: Offer, is_chosen: bool, reason: str, lang: str) -> str:
    name = escape(t(f"export.target.{offer.target}.name", lang))
    about = escape(t(f"export.target.{offer.target}.about", lang))
    why = f'<span class="export-why">{escape(reason)}</span>' if reason else ""
    state = ' aria-disabled="true"' if offer.problem is not None else ""
    size = f"<i>{quantities.size(offer.needs_bytes)}</i>" if offer.needs_bytes else ""
    return (
        f'<button type="button" class="export-target" role="radio" data-et-target="{offer.target}"'
        f' aria-checked="{str(is_chosen).lower()}"{state}>'
        f"<b>{name}{size}</b><span>{about}</span>{why}</button>"
    )


def facts(offers: Sequence[Offer], chosen: str, free_bytes: int, lang: str) -> str:
    """Return how much room the chosen target takes, or what stands in its way."""
    offer = next((one for one in offers if one.target == chosen), None)
    if offer is None:
        return ""
    if offer.problem is not None:
        said = escape(sentence(offer.problem, lang))
        return f'<p class="et-fact export-refused" role="alert">{said}</p>'
    need, free = quantities.size(offer.needs_bytes or 0), quantities.size(free_bytes)
    return f'<p class="et-fact">{escape(t("export.room", lang, need=need, free=free))}</p>'


def model_card(text: str, lang: str) -> str:
    """Return the model card as it will be sent, to be opened; "" without one."""
    if not text:
        return ""
    title = escape(t("export.model_card", lang))
    card = f"<summary>{title}</summary><pre>{escape(text)}</pre>"
    return f'<details id="export-model-card">{card}</details>'


def links(exports: Sequence[ExportSummary], lang: str) -> str:
    """Return the newest exports of a model, each a button that opens it."""
    if not exports:
        return ""
    newest = sorted(exports, key=lambda one: one.created, reverse=True)[:MOST_LISTED]
    buttons = " ".join(job_view.link("data-et-exported", one, lang) for one in newest)
    told = t("export.earlier", lang, count=len(exports))
    return f'<p class="et-fact evaluate-earlier">{escape(told)} {buttons}</p>'


def certificate(sheet: Sheet, story: ExportStory, lang: str) -> str:
    """Return what was proved: verdict, sentences, figures, uses, files."""
    tone = "passed" if sheet.passed else "failed"
    lines = "".join(f"<li>{escape(line)}</li>" for line in sheet.sentences)
    departs = "".join(f"<p>{escape(line)}</p>" for line in sheet.departures)
    return (
        f'<section class="export-certificate" data-passed="{str(sheet.passed).lower()}">'
        f'<h3 class="export-{tone}">{escape(sheet.verdict)}</h3>'
        f'<div class="export-departs">{departs}</div>'
        f"<ul>{lines}</ul>{_place(story, lang)}{_table(sheet.figures)}"
        f"{_uses(sheet, lang)}{_files(sheet, lang)}"
        "</section>"
    )


def _place(story: ExportStory, lang: str) -> str:
    """Return where the artefact lies, and the ways to other tabs that can load it."""
    if not story.is_model:
        return ""
    folder, model = (escape(one, quote=True) for one in (str(story.folder.artefact), story.model))
    copy = f'<button type="button" class="et-mini" data-et-copy="{folder}">'
    buttons = f"{copy}{escape(t('app.copy', lang))}</button>"
    if model:
        buttons += "".join(
            f'<button type="button" class="et-mini" data-et-{where}="{model}">'
            f"{escape(t(f'models.act.{name}', lang))}</button>"
            for where, name in _WAYS
        )
    said = escape(t("export.lies_in", lang))
    return (
        f'<p class="et-fact">{said} <code>{folder}</code></p>'
        f'<p class="et-buttons export-ways">{buttons}</p>'
    )


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in table.head)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in table.rows
    )  # fmt: skip
    return (
        f'<div class="export-table"><table><caption>{escape(table.title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _uses(sheet: Sheet, lang: str) -> str:
    if not sheet.uses:
        return ""
    copy = escape(t("app.copy", lang))
    blocks = "".join(
        f'<div class="export-use"><b>{escape(use.title)}</b>'
        f'<button type="button" class="et-mini" data-et-copy="{escape(use.command, quote=True)}">'
        f"{copy}</button><pre>{escape(use.command)}</pre></div>"
        for use in sheet.uses
    )
    return f"<h4>{escape(t('export.uses', lang))}</h4>{blocks}"


def _files(sheet: Sheet, lang: str) -> str:
    rows = "".join(
        f"<tr><td>{escape(path)}</td><td>{escape(size)}</td>"
        f'<td><code title="{escape(digest, quote=True)}">{escape(digest[:_HASH_SHOWN])}…</code>'
        "</td></tr>"
        for path, size, digest in sheet.files.rows
    )
    if not rows:
        return ""
    title = t("export.files", lang, count=len(sheet.files.rows))
    head = "".join(f"<th>{escape(name)}</th>" for name in sheet.files.head)
    return (
        f"<details><summary>{escape(title)}</summary>"
        f'<div class="export-table"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>'
        "</table></div></details>"
    )
