"""An evaluation's results as HTML: the verdict in words, the figures, and what did not go well.

Whatever comes from a model, a file or a person is escaped here.
"""

from collections.abc import Sequence
from html import escape
from typing import Literal

from easytune import forgetting, quantities
from easytune.evaluation_files import Difference, Overlap, Scored, TestRow
from easytune.i18n import t
from easytune.services import forgotten
from easytune.webui import data_figures as figures
from easytune.webui import language
from easytune.webui.results_names import (
    Shown,
    direction,
    figure,
    metric_help,
    metric_name,
    sentence_of,
    signed,
)

Tone = Literal["better", "worse", "undecided"]
OVERLAPS_SHOWN = 50
PROMPT_SHOWN = 300


def tone(metric: str, found: Difference) -> Tone:
    """Return whether a difference is one that cannot well be luck, and to which side."""
    from easytune.scoring import statistics

    good = direction(metric)
    if not good or not statistics.is_shown(found):
        return "undecided"
    return "better" if found.value * good > 0 else "worse"


def verdict(shown: Shown) -> str:
    """Return in words how each model compares with the first, set by set, and what it forgot."""
    others = range(1, len(shown.candidates))
    cards = [_card(shown, place) for place in others] if others else [_alone(shown)]
    first = escape(t("results.against", shown.lang, first=shown.title(0))) if others else ""
    under = f'<p class="et-quiet">{first}</p>' if first else ""
    title = escape(t("results.verdict", shown.lang))
    return (
        f'<section class="results-verdict" id="results-verdict-shown"><h3>{title}</h3>{under}'
        f'<div class="results-cards">{"".join(cards)}</div></section>'
    )


def table(shown: Shown) -> str:
    """Return every figure with its interval, set by set."""
    if not shown.result.scores:
        return ""
    parts = "".join(_of_set(shown, place) for place in range(len(shown.result.sets)))
    title = escape(t("results.figures", shown.lang))
    note = escape(t("results.figures_note", shown.lang))
    return (
        f'<section class="results-figures"><h3>{title}</h3><p class="et-quiet">{note}</p>'
        f"{parts}</section>"
    )


def findings(shown: Shown) -> str:
    """Return what did not apply or went wrong while the rest went on."""
    found = dict.fromkeys(sentence_of(f.code, f.values, shown.lang) for f in shown.result.findings)
    if not found:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in found)
    return (
        f'<div class="et-notices results-findings"><b>{escape(t("results.findings", shown.lang))}'
        f"</b><ul>{items}</ul></div>"
    )


def overlaps(shown: Shown, rows: Sequence[TestRow]) -> str:
    """Return which test rows a model has been trained on, with the rows."""
    return "".join(_overlap(shown, one, rows) for one in shown.result.overlaps if one.rows)


def repeating(shown: Shown) -> str:
    """Return all it takes to repeat the evaluation: models, sets, settings, seed, versions."""
    lang, order = shown.lang, shown.order
    models = [
        (shown.candidate(place), one.fingerprint, one.folder)
        for place, one in enumerate(shown.candidates)
    ]
    sets = [(one.title, one.name, one.fingerprint[:16], str(one.rows)) for one in shown.result.sets]
    facts = [
        *((language.option_name(path, lang), value) for path, value in _settings(shown)),
        *order.versions.items(),
    ]
    signatures = [(metric_name(n, lang), s) for n, s in shown.result.signatures.items() if s]
    body = "".join(
        _listed(t(f"results.repeat.{name}", lang), lines)
        for name, lines in (
            ("models", models), ("sets", sets), ("settings", facts), ("signatures", signatures),
        )
    )  # fmt: skip
    title = escape(t("results.repeat.title", lang))
    return f'<details class="results-fold"><summary>{title}</summary>{body}</details>'


def refusal(text: str) -> str:
    """Return a sentence in place of results."""
    return f'<div class="et-empty results-empty">{escape(text)}</div>'


# --- verdict ----------------------------------------------------------------


def _card(shown: Shown, place: int) -> str:
    groups = "".join(_group(shown, place, chosen) for chosen in range(len(shown.result.sets)))
    nothing = f'<p class="et-quiet">{escape(t("results.unscored", shown.lang))}</p>'
    return (
        f'<article class="results-card" data-candidate="{place}">'
        f"<h4>{escape(shown.candidate(place))}</h4>{groups + _forgot(shown, place) or nothing}"
        "</article>"
    )


def _group(shown: Shown, place: int, chosen: int) -> str:
    from easytune import scoring

    found = [s for s in shown.of_set(chosen) if s.candidate == place and s.against_first]
    if not found:
        return ""
    lines = "".join(
        _line(
            tone(one.metric, one.against_first),
            metric_name(one.metric, shown.lang),
            scoring.sentence(one, shown.lang),
        )
        for one in found
        if one.against_first is not None
    )
    return (
        f'<div class="results-group"><b>{escape(shown.set_title(chosen))}</b>'
        f"<p>{escape(_summary(shown, found))}</p><ul>{lines}</ul></div>"
    )


def _line(how: str, name: str, sentence: str) -> str:
    return (
        f'<li data-tone="{how}"><b>{escape(name)}</b><span>{escape(sentence)}</span></li>'
    )  # fmt: skip


def _summary(shown: Shown, found: Sequence[Scored]) -> str:
    tones = [tone(s.metric, s.against_first) for s in found if s.against_first is not None]
    better, worse = tones.count("better"), tones.count("worse")
    if better and worse:
        kind = "mixed"
    else:
        kind = "better" if better else "worse" if worse else "undecided"
    return t(f"results.summary.{kind}", shown.lang, better=better, worse=worse, all=len(tones))


def _forgot(shown: Shown, place: int) -> str:
    found = shown.forgotten(place)
    if found is None:
        return ""
    said = t(
        "results.forgot", shown.lang, score=forgotten.number(found.score),
        low=forgotten.number(found.low), high=forgotten.number(found.high),
        band=forgotten.band_name(found.score, shown.lang),
        retention=forgotten.percent(forgetting.retention(found.score)),
    )  # fmt: skip
    how = {"none": "better", "slight": "better", "watch": "undecided"}.get(
        forgetting.band(found.score), "worse"
    )
    name = t("results.forgetting.title", shown.lang)
    return f'<div class="results-group"><ul>{_line(how, name, said)}</ul></div>'


def _alone(shown: Shown) -> str:
    said = escape(t("results.alone", shown.lang, name=shown.title(0)))
    return (
        f'<article class="results-card" data-candidate="0"><p>{said}</p>{_forgot(shown, 0)}'
        "</article>"
    )


# --- figures ----------------------------------------------------------------


def _of_set(shown: Shown, place: int) -> str:
    names = shown.metrics(place)
    if not names:
        return ""
    by_place = {(one.candidate, one.metric): one for one in shown.of_set(place)}
    best = {name: _best(name, [s for s in by_place.values() if s.metric == name]) for name in names}
    heads = "".join(_head(name, shown) for name in names)
    lines = "".join(
        f"<tr><td>{escape(shown.candidate(candidate))}</td>"
        + "".join(_cell(by_place.get((candidate, name)), best[name], shown.lang) for name in names)
        + "</tr>"
        for candidate in range(len(shown.candidates))
    )
    chosen = shown.result.sets[place]
    told = t("results.set_rows", shown.lang, title=chosen.title, rows=figures.count(chosen.rows))
    return (
        f'<h4>{escape(told)}</h4><div class="et-table-wrap"><table class="et-table results-table"'
        f' data-set="{place}"><thead><tr><th>{escape(t("results.model", shown.lang))}</th>{heads}'
        f"</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _head(name: str, shown: Shown) -> str:
    sign = {1: "↑", -1: "↓"}.get(direction(name), "")
    told = " · ".join(
        part for part in (metric_help(name, shown.lang), shown.result.signatures.get(name)) if part
    )
    return (
        f'<th title="{escape(told, quote=True)}">{escape(metric_name(name, shown.lang))}'
        f'<span class="results-way" aria-hidden="true">{sign}</span></th>'
    )


def _best(name: str, found: Sequence[Scored]) -> float | None:
    """Return the best figure, which several may share; None where all do, or none is better."""
    good = direction(name)
    if not good or len({one.figure.value for one in found}) < 2:
        return None
    return max((one.figure.value for one in found), key=lambda value: good * value)


def _cell(found: Scored | None, best: float | None, lang: str) -> str:
    if found is None:
        return f'<td class="results-none">{escape(t("monitor.none", lang))}</td>'
    value = escape(figure(found.metric, found.figure.value, lang))
    marked = f"<b>{value}</b>" if found.figure.value == best else value
    ends = escape(_interval(found, lang))
    return f"<td>{marked}<small>{ends}</small>{_against(found, lang)}</td>"


def _interval(found: Scored, lang: str) -> str:
    low, high = found.figure.low, found.figure.high
    if low is None or high is None:
        return ""
    return f"[{figure(found.metric, low, lang)}, {figure(found.metric, high, lang)}]"


def _against(found: Scored, lang: str) -> str:
    if found.against_first is None:
        return ""
    how = tone(found.metric, found.against_first)
    by = signed(figure(found.metric, found.against_first.value, lang))
    return f'<i data-tone="{how}">{escape(by)}</i>'


# --- what did not go well ---------------------------------------------------


def _overlap(shown: Shown, found: Overlap, rows: Sequence[TestRow]) -> str:
    said = t(
        "results.overlap", shown.lang, rows=figures.count(len(found.rows)),
        set=shown.set_title(found.set), model=shown.title(found.candidate),
    )  # fmt: skip
    listed = "".join(
        f"<li><b>{place + 1}</b> {escape(prompt_of(rows[place])[:PROMPT_SHOWN])}</li>"
        for place in found.rows[:OVERLAPS_SHOWN]
        if place < len(rows)
    )
    more = len(found.rows) - OVERLAPS_SHOWN
    rest = t("results.overlap_more", shown.lang, count=figures.count(more)) if more > 0 else ""
    return (
        f'<div class="et-notices results-overlap" role="alert"><b>{escape(said)}</b>'
        f"<details><summary>{escape(t('results.overlap_rows', shown.lang))}</summary>"
        f"<ul>{listed}</ul><p>{escape(rest)}</p></details></div>"
    )


def prompt_of(row: TestRow) -> str:
    """Return what a row asks, in short: the text to go on from, or the last message."""
    if row.prompt is not None:
        return row.prompt
    return row.messages[-1].content if row.messages else ""


def _settings(shown: Shown) -> list[tuple[str, str]]:
    config = shown.order.config
    sections = (("test", config.test), ("sampling", config.sampling), ("loading", config.loading))
    return [
        (f"{section}.{name}", language.option_value(f"{section}.{name}", value, shown.lang))
        for section, held in sections
        for name, value in held.model_dump().items()
        if name != "datasets"
    ]


def _listed(title: str, lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return ""
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in line) + "</tr>"
        for line in lines
    )
    return (
        f'<h5>{escape(title)}</h5><div class="et-table-wrap"><table class="results-facts">'
        f"<tbody>{body}</tbody></table></div>"
    )


def head(title: str, chip: str, when: str, seconds: float | None, links: str, lang: str) -> str:
    """Return the name of the evaluation, its state, and its reports; the markup comes escaped."""
    took = f" · {quantities.duration(seconds, lang)}" if seconds else ""
    return (
        f'<div class="results-head"><div class="et-head">{chip}<b class="et-name">{escape(title)}'
        f'</b><span class="et-quiet">{escape(when + took)}</span></div>{links}</div>'
    )
