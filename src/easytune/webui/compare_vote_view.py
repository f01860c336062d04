"""Blind votes as HTML: one ballot, and how often each column wins."""

from collections.abc import Sequence
from html import escape

from easytune.i18n import t
from easytune.services.comparison import Comparison
from easytune.services.votes import Ballot, Pair, Tally, Verdict
from easytune.webui import answers_html


def ballot(comparison: Comparison, shown: Ballot, verdict: Verdict | None, lang: str) -> str:
    """Return two answers side by side; with a verdict, whose they are and which one was chosen."""
    entry = next(e for e in comparison.entries if e.position == shown.position)
    sides = ((shown.left, "left", "A"), (shown.right, "right", "B"))
    answers = "".join(
        _side(comparison, entry.position, column, letter, verdict is not None, verdict == side)
        for column, side, letter in sides
    )
    said = _said(verdict, lang)
    return (
        f'<div class="compare-ballot" data-revealed="{str(verdict is not None).lower()}">'
        f'<div class="compare-prompt">{escape(entry.prompt)}</div>'
        f'<div class="compare-sides">{answers}</div>{said}</div>'
    )


def nothing(text: str) -> str:
    """Return a sentence in place of a ballot."""
    return f'<div class="et-empty">{escape(text)}</div>'


def results(comparison: Comparison, pairs: Sequence[Pair], tally: Tally, lang: str) -> str:
    """Return how far the voting is, and the result of each pair that has votes."""
    told = t("compare.vote.tally", lang, voted=tally.voted, total=tally.total)
    if not pairs:
        return f'<p class="et-fact" id="compare-tally">{escape(told)}</p>'
    names = ("pair", "win_rate", "interval", "wins", "losses", "ties", "both_bad")
    heads = "".join(f"<th>{escape(t(f'compare.vote.column.{n}', lang))}</th>" for n in names)
    rows = "".join(_row(comparison, pair, lang) for pair in pairs)
    return (
        f'<p class="et-fact" id="compare-tally">{escape(told)}</p><div class="et-table-wrap">'
        f'<table class="et-table" id="compare-results"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def left_out(votes: int, lang: str) -> str:
    """Return how many votes cannot become training data, and why; nothing when all can."""
    if not votes:
        return ""
    return f'<p class="et-fact">{escape(t("compare.vote.left_out", lang, votes=votes))}</p>'


def _side(
    comparison: Comparison, position: int, column: int, letter: str, revealed: bool, best: bool
) -> str:
    entry = next(e for e in comparison.entries if e.position == position)
    answer = entry.answers[column]
    text = answers_html.render(answer.text) if answer is not None else ""
    name = comparison.columns[column].label
    head = f"{letter} · {escape(name)}" if revealed else letter
    return (
        f'<article class="compare-side{" compare-best" if best else ""}"><header>{head}</header>'
        f'<div class="compare-text">{text}</div></article>'
    )


def _said(verdict: Verdict | None, lang: str) -> str:
    if verdict is None:
        return ""
    return f'<p class="et-fact">{escape(t(f"compare.vote.said.{verdict}", lang))}</p>'


def _row(comparison: Comparison, pair: Pair, lang: str) -> str:
    columns = comparison.columns
    names = t("compare.vote.against", lang, a=columns[pair.a].label, b=columns[pair.b].label)
    none = t("monitor.none", lang)
    rate = none if pair.rate is None else f"{pair.rate:.0%}"
    low, high = pair.low, pair.high
    interval = none if low is None or high is None else f"{low:.0%} – {high:.0%}"
    counts = (pair.wins_a, pair.wins_b, pair.ties, pair.both_bad)
    cells = [escape(names), f"<b>{rate}</b>", interval, *map(str, counts)]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
