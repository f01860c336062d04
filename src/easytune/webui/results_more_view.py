"""Forgetting by category, the safety probe, and standard benchmarks, as HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from easytune import forgetting
from easytune.evaluation_files import Benchmarked, Figure, Forgotten, Refusals
from easytune.i18n import t
from easytune.services import forgotten
from easytune.webui import data_figures as figures
from easytune.webui.forgetting_view import category_name
from easytune.webui.results_names import Shown, number, probe_name, signed

KINDS = ("harmful", "harmless")
TRANSCRIPTS_PAGE = 50


def forgetting_table(shown: Shown) -> str:
    """Return what each model has forgotten, over all and by category of the probe."""
    found = shown.result.forgetting
    if not found:
        return ""
    lang = shown.lang
    heads = "".join(
        f"<th>{escape(t(f'results.forgetting.{name}', lang))}</th>"
        for name in ("model", "probe", "score", "retention", "kl", "agreement", "texts")
    )
    lines = "".join(_forgotten(shown, one) for one in found)
    parts = "".join(_categories(shown, one) for one in found if one.categories)
    return _section(
        t("results.forgetting.title", lang),
        t("forgetting.explained", lang),
        f'<div class="et-table-wrap"><table class="et-table results-forgetting"><thead><tr>{heads}'
        f"</tr></thead><tbody>{lines}</tbody></table></div>{parts}",
        "forgetting",
    )


def safety_table(shown: Shown) -> str:
    """Return how many prompts of the safety probe each model refused."""
    found = shown.result.safety
    if not found:
        return ""
    lang = shown.lang
    prompts = sum(one.prompts for one in found if one.candidate == found[0].candidate)
    heads = "".join(
        f"<th>{escape(t(f'results.safety.{name}', lang))}</th>" for name in ("model", *KINDS)
    )
    by_place = {(one.candidate, one.kind): one for one in found}
    lines = "".join(
        f"<tr><td>{escape(shown.candidate(place))}</td>"
        + "".join(_refused(by_place.get((place, kind)), lang) for kind in KINDS)
        + "</tr>"
        for place in sorted({one.candidate for one in found})
    )
    return _section(
        t("results.safety.title", lang),
        t("safety.screening", lang, prompts=prompts),
        f'<div class="et-table-wrap"><table class="et-table results-safety"><thead><tr>{heads}'
        f"</tr></thead><tbody>{lines}</tbody></table></div>",
        "safety",
    )


def benchmarks(shown: Shown) -> str:
    """Return the figures of lm-evaluation-harness, and by how much each model differs."""
    found = shown.result.benchmarks
    if not found:
        return ""
    lang = shown.lang
    names = list(dict.fromkeys((one.task, one.metric) for one in found))
    by_place = {(one.candidate, one.task, one.metric): one for one in found}
    heads = "".join(
        f"<th>{escape(task)}<small>{escape(metric)}</small></th>" for task, metric in names
    )
    lines = "".join(
        f"<tr><td>{escape(shown.candidate(place))}</td>"
        + "".join(_benchmark(by_place.get((place, *name)), lang) for name in names)
        + "</tr>"
        for place in sorted({one.candidate for one in found})
    )
    return _section(
        t("results.benchmarks.title", lang),
        t("results.benchmarks.note", lang),
        f'<div class="et-table-wrap"><table class="et-table results-table"><thead><tr>'
        f"<th>{escape(t('results.model', lang))}</th>{heads}</tr></thead>"
        f"<tbody>{lines}</tbody></table></div>",
        "benchmarks",
    )


def transcripts(found: Sequence[Mapping[str, Any]], place: int, shown: Shown) -> str:
    """Return one page of the safety probe's prompts and answers, each with whether it refused."""
    if not found:
        return figures.empty(t("results.safety.no_transcripts", shown.lang))
    page = found[place : place + TRANSCRIPTS_PAGE]
    lines = "".join(_transcript(one, shown) for one in page)
    told = t(
        "results.flips.page", shown.lang, first=place + 1, last=place + len(page),
        total=figures.count(len(found)),
    )  # fmt: skip
    names = (
        t("dataset_work.page_before", shown.lang), t("dataset_work.page_after", shown.lang),
    )  # fmt: skip
    return (
        f'<div class="results-transcripts">{lines}</div>'
        f"{figures.pages(place, TRANSCRIPTS_PAGE, len(found), told, names)}"
    )


def _section(title: str, note: str, body: str, ident: str) -> str:
    return (
        f'<section class="results-section" data-section="{ident}"><h3>{escape(title)}</h3>'
        f'<p class="et-quiet">{escape(note)}</p>{body}</section>'
    )


# --- forgetting -------------------------------------------------------------


def _forgotten(shown: Shown, one: Forgotten) -> str:
    lang, band = shown.lang, forgetting.band(one.score)
    score = (
        f"<b>{forgotten.number(one.score)}</b>"
        f"<small>[{forgotten.number(one.low)}, {forgotten.number(one.high)}]</small>"
        f"<small>{escape(forgotten.band_name(one.score, lang))}</small>"
    )
    cells = [
        escape(shown.candidate(one.candidate)),
        escape(probe_name(one.probe, lang)),
        f'<span data-tone="{band}">{score}</span>',
        escape(t("monitor.percent", lang, percent=_percent(forgetting.retention(one.score)))),
        forgotten.number(one.kl),
        escape(t("monitor.percent", lang, percent=_percent(one.agreement))),
        escape(t("forgetting.probe_size", lang, sequences=one.sequences, tokens=one.tokens)),
    ]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _categories(shown: Shown, one: Forgotten) -> str:
    lang = shown.lang
    title = t(
        "results.forgetting.categories", lang, model=shown.title(one.candidate),
        probe=probe_name(one.probe, lang),
    )  # fmt: skip
    widest = max((abs(figure.value) for figure in one.categories.values()), default=0.0)
    lines = "".join(
        _category(name, figure, widest, lang) for name, figure in sorted(one.categories.items())
    )
    return (
        f'<details class="results-fold"><summary>{escape(title)}</summary>'
        f'<div class="et-table-wrap"><table class="et-table et-categories"><tbody>{lines}</tbody>'
        "</table></div></details>"
    )


def _category(name: str, figure: Figure, widest: float, lang: str) -> str:
    width = 100 * abs(figure.value) / widest if widest else 0.0
    ends = (
        f"[{forgotten.number(figure.low)}, {forgotten.number(figure.high)}]"
        if figure.low is not None and figure.high is not None
        else ""
    )
    texts = t("results.forgetting.of_texts", lang, count=figure.rows)
    return (
        f'<tr data-tone="{forgetting.band(figure.value)}"><th scope="row">'
        f'{escape(category_name(name, lang))}</th><td class="et-bar-cell">'
        f'<i class="et-bar" style="width:{width:.1f}%"></i></td>'
        f"<td><b>{forgotten.number(figure.value)}</b> {escape(ends)}</td>"
        f"<td>{escape(texts)}</td></tr>"
    )


def _percent(share: float) -> str:
    """Return a share in percent that does not round what is missing away."""
    return f"{100 * share:.1f}".removesuffix(".0")


# --- safety and benchmarks --------------------------------------------------


def _refused(one: Refusals | None, lang: str) -> str:
    if one is None:
        return f'<td class="results-none">{escape(t("monitor.none", lang))}</td>'
    told = t("results.safety.of", lang, refused=one.refused, prompts=one.prompts)
    share = 100 * one.refused / one.prompts if one.prompts else 0.0
    ends = f"[{100 * one.low:.0f}, {100 * one.high:.0f}]"
    percent = t("monitor.percent", lang, percent=_percent(share / 100))
    return f"<td><b>{escape(percent)}</b><small>{ends}</small><small>{escape(told)}</small></td>"


def _benchmark(one: Benchmarked | None, lang: str) -> str:
    if one is None:
        return f'<td class="results-none">{escape(t("monitor.none", lang))}</td>'
    error = f"<small>± {number(one.stderr, lang)}</small>" if one.stderr is not None else ""
    rows = t("results.benchmarks.rows", lang, rows=one.rows) if one.rows else ""
    value = number(one.value, lang)
    return f"<td>{value}{error}{_drop(one, lang)}<small>{escape(rows)}</small></td>"


def _drop(one: Benchmarked, lang: str) -> str:
    """Return by how much a benchmark differs from the first model's, coloured where it is sure."""
    found = one.against_first
    if found is None:
        return ""
    good = found.value > 0 if one.higher_is_better else found.value < 0
    how = "undecided" if found.low <= 0 <= found.high else "better" if good else "worse"
    ends = f"[{number(found.low, lang)}, {number(found.high, lang)}]"
    by = escape(signed(number(found.value, lang)))
    return f'<i data-tone="{how}">{by}</i><small>{escape(ends)}</small>'


def _transcript(one: Mapping[str, Any], shown: Shown) -> str:
    lang, place = shown.lang, one.get("candidate")
    # Without a place it is a base that was asked only for the sake of its adapters.
    who = shown.candidate(place) if isinstance(place, int) else str(one.get("base", ""))
    kind = "harmful" if one.get("kind") == "harmful" else "harmless"
    was = "refused" if one.get("refused") else "answered"
    answer = str(one.get("answer", "")) or t("results.flips.no_text", lang)
    return (
        f'<article class="results-transcript"><header><b>{escape(who)}</b>'
        f'<span class="et-chip">{escape(t(f"results.safety.{kind}_prompt", lang))}</span>'
        f"<span>{escape(t(f'results.safety.{was}', lang))}</span></header>"
        f'<div class="et-prompt">{escape(str(one.get("prompt", "")))}</div>'
        f'<div class="compare-clip">{escape(answer)}</div></article>'
    )
