"""What can be done where refusals fell, and what each try costs, as HTML."""

from collections.abc import Sequence
from html import escape

from easytune import refusals
from easytune.evaluation_files import Refusals, Scored
from easytune.i18n import t
from easytune.services.safety import Outcome, Tried
from easytune.webui import data_figures as figures
from easytune.webui.results_names import Shown, figure, metric_name, signed


def offers(shown: Shown, fit: Sequence[int]) -> str:
    """Return the remedies for each adapter whose refusals were counted; `fit` can be tried on."""
    found = [one for one in shown.result.safety if one.kind == "harmful" and one.candidate in fit]
    # A base that refuses nothing has lost nothing that a remedy could bring back.
    found = [one for one in found if one.before != 0]
    if not found:
        return ""
    title = escape(t("results.remedies.title", shown.lang))
    note = escape(t("results.remedies.note", shown.lang))
    body = "".join(_offer(shown, one) for one in found)
    return (
        f'<div class="results-remedies" data-remedies="offers"><h4>{title}</h4>'
        f'<p class="et-quiet">{note}</p>{body}</div>'
    )


def outcome(shown: Shown, found: Outcome) -> str:
    """Return how each try refuses and what it costs, and which one to keep."""
    lang = shown.lang
    heads = "".join(
        f"<th>{escape(t(f'results.remedies.{name}', lang))}</th>"
        for name in ("tried", "harmful", "harmless", "cost")
    )
    rows = "".join(_tried(shown, one, one.candidate == found.best) for one in found.tried)
    return (
        f'<div class="results-remedies" data-remedies="outcome">'
        f"<h4>{escape(t('results.remedies.outcome', lang))}</h4>"
        f"{figures.notice(_best(found, lang), 'quiet' if found.best is None else 'good')}"
        f'<div class="et-table-wrap"><table class="et-table results-tried"><thead><tr>{heads}<th>'
        f"</th></tr></thead><tbody>{rows}</tbody></table></div></div>"
    )


def name_of(one: Tried, lang: str) -> str:
    """Return what was done to a copy."""
    if one.remedy is None:
        return t("safety.as_is", lang)
    if one.remedy.kind == "strength":
        return t("safety.strength", lang, percent=f"{100 * one.remedy.amount:.0f}")
    return t("safety.projection", lang, layers=one.remedy.layers or 0)


def _offer(shown: Shown, one: Refusals) -> str:
    lang = shown.lang
    fell = one.before is not None and one.before - one.refused > refusals.TOLERANCE * one.prompts
    kind = "none_before" if one.before is None else "change" if fell else "same"
    said = t(
        f"safety.{kind}", lang, model=shown.title(one.candidate), after=one.refused,
        before=one.before, prompts=one.prompts, tolerance=_tolerance(refusals.TOLERANCE),
    )  # fmt: skip
    buttons = "".join(
        figures.button(name, t(f"results.remedies.{name}", lang), candidate=one.candidate)
        for name in ("strength", "project")
    )
    tone = "bad" if fell else "quiet"
    return f'{figures.notice(said, tone)}<span class="et-buttons">{buttons}</span>'


def _tried(shown: Shown, one: Tried, is_best: bool) -> str:
    lang = shown.lang
    keep = (
        figures.button("keep", t("results.remedies.keep", lang), candidate=one.candidate)
        if one.remedy is not None and one.harmful is not None
        else ""
    )
    name = escape(name_of(one, lang))
    cells = [
        f"<b>{name}</b>" if is_best else name,
        _refused(one.harmful, lang),
        _refused(one.harmless, lang),
        escape(cost(one, lang)),
        keep,
    ]
    best = ' data-best="true"' if is_best else ""
    return f"<tr{best}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def cost(one: Tried, lang: str) -> str:
    """Return what a copy loses of the task against the adapter as it was trained."""
    if one.remedy is None:
        return ""
    said = [_change(score, lang) for score in one.scores if score.against_first is not None]
    if not said:
        return t("safety.no_cost", lang)
    return t("safety.cost", lang, figures=" · ".join(said))


def _change(score: Scored, lang: str) -> str:
    change = score.against_first
    by = signed(figure(score.metric, change.value if change else 0.0, lang))
    return f"{metric_name(score.metric, lang)} {by}"


def _refused(one: Refusals | None, lang: str) -> str:
    if one is None:
        return escape(t("monitor.none", lang))
    return escape(t("results.safety.of", lang, refused=one.refused, prompts=one.prompts))


def _best(found: Outcome, lang: str) -> str:
    chosen = next((one for one in found.tried if one.candidate == found.best), None)
    tolerance = _tolerance(found.tolerance)
    if chosen is None:
        return t("safety.best_none", lang, tolerance=tolerance)
    if chosen.remedy is None:
        return t("safety.best_as_is", lang, tolerance=tolerance)
    if chosen.remedy.kind == "strength":
        percent = f"{100 * chosen.remedy.amount:.0f}"
        return t("safety.best_strength", lang, percent=percent, tolerance=tolerance)
    return t("safety.best_projection", lang, layers=chosen.remedy.layers or 0, tolerance=tolerance)


def _tolerance(share: float) -> str:
    return f"{100 * share:.0f}"
