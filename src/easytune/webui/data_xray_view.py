"""A row in tokens, and what a model would learn from a whole version, as HTML."""

from html import escape
from typing import TYPE_CHECKING

from easytune import quantities
from easytune.config import TrainConfig
from easytune.data.xray import RowView
from easytune.i18n import t
from easytune.webui import data_figures as figures
from easytune.webui import preview
from easytune.webui.data_figures import count, share

if TYPE_CHECKING:
    from easytune.data.insight.measure import Measured

SPREAD = ("p5", "p25", "p50", "p75", "p95", "p99", "max")
_OWN = "dataset_work.xray"


def row(shown: RowView, rows: int, lang: str) -> str:
    """Return one row with the fate of every token."""
    place = t(
        f"{_OWN}.row_of", lang, place=count(shown.position + 1), rows=count(rows),
        number=count(shown.number), source=shown.source,
    )  # fmt: skip
    parts = [place]
    if shown.problem is None:
        parts.append(t(f"{_OWN}.tokens", lang, tokens=count(shown.tokens)))
        parts.append(t(f"{_OWN}.trained", lang, tokens=count(shown.trained)))
    if shown.held_out:
        parts.append(t(f"{_OWN}.held_out_row", lang))
    head = f'<p class="et-fact" id="xray-place">{escape(" · ".join(parts))}</p>'
    return f'<div class="et-preview">{head}{_content(shown, lang)}</div>'


def _content(shown: RowView, lang: str) -> str:
    if shown.problem is not None:
        problem = shown.problem
        said = t(f"data.problem.{problem.code}", lang, **problem.placeholders)
        return figures.notice(f"{t(f'{_OWN}.row_left_out', lang)} {said}", "warn")
    tokens = preview.tokens(shown.pieces, lang)
    return (
        f'<div class="et-tokens" tabindex="0" dir="auto" id="xray-tokens">{tokens}</div>'
        f"{preview.legend(shown.pieces, lang)}"
    )


def without_sample() -> str:
    """Return the style that hides the button to measure a sample, where that would be all rows."""
    return "<style>#xray-sample { display: none !important; }</style>"


def settings(config: TrainConfig, lang: str) -> str:
    """Return one line with the settings of the Train tab that decide what is seen."""
    data = config.data
    parts = [
        t(f"{_OWN}.model", lang, model=config.model.base_model),
        t(f"{_OWN}.max_length", lang, tokens=count(data.max_length)),
        t(f"{_OWN}.learned.{data.train_on}", lang),
        t(f"{_OWN}.packing.{'on' if data.packing else 'off'}", lang),
    ]
    told = "".join(f"<span>{escape(part)}</span>" for part in parts)
    change = figures.button("train", t(f"{_OWN}.change", lang))
    return f'<div class="work-settings" id="xray-settings">{told}{change}</div>'


def measured(found: "Measured", lang: str) -> str:
    """Return what becomes of all rows, and how long a run on them would take."""
    body = "".join(
        (
            _notices(found, lang),
            figures.tiles(_tiles(found, lang)),
            _lengths(found, lang),
            _reasons(found, lang),
        )
    )
    return f'<div class="work-panel" id="xray-measured">{body}</div>'


def _tiles(found: "Measured", lang: str) -> list[str]:
    def say(name: str, value: str, note: str = "", tone: str = "") -> str:
        return figures.tile(t(f"{_OWN}.figure.{name}", lang), value, note, tone, name)

    kept = found.used + found.held_out
    avoided = t(f"{_OWN}.padding.{'avoided' if found.packing else 'computed'}", lang,
                tokens=count(found.padding_tokens))  # fmt: skip
    return [
        say("used", count(found.used), t(f"{_OWN}.of_read", lang, rows=count(found.read))),
        say("held_out", count(found.held_out), share(found.held_out, kept)),
        say("truncated", count(found.truncated),
            t(f"{_OWN}.cut_at", lang, tokens=count(found.max_length)),
            "warn" if found.truncated else ""),
        say("dropped", count(found.dropped), _left_out(found, lang),
            "bad" if found.dropped else ""),
        say("supervised", count(found.supervised_tokens),
            t(f"{_OWN}.of_tokens", lang, share=share(found.supervised_tokens, found.total_tokens),
              tokens=count(found.total_tokens))),
        say("padding", f"{found.padding_share:.0%}", avoided),
        say("steps", count(found.total_steps),
            t(f"{_OWN}.per_epoch", lang, steps=count(found.steps_per_epoch))),
        say("time", *_time(found, lang)),
    ]  # fmt: skip


def _time(found: "Measured", lang: str) -> tuple[str, str]:
    if found.seconds is None or found.tokens_per_second is None:
        return "–", t(f"{_OWN}.no_pace", lang)
    # The id of a run is the moment it was made, and its name.
    name = (found.pace_run or "").split("-", 3)[-1]
    pace = t(f"{_OWN}.pace", lang, pace=count(round(found.tokens_per_second)), run=name)
    return quantities.duration(found.seconds, lang), pace


def _left_out(found: "Measured", lang: str) -> str:
    if found.left_out:
        return t(f"{_OWN}.beyond_limit", lang, rows=count(found.left_out))
    return share(found.dropped, found.read)


def _notices(found: "Measured", lang: str) -> str:
    said = [t(f"notice.{code}", lang, **values) for code, values in found.notices]
    if found.sampled is not None:
        said.insert(0, t(f"{_OWN}.sampled", lang, rows=count(found.sampled)))
    return "".join(figures.notice(text) for text in said)


def _lengths(found: "Measured", lang: str) -> str:
    drawn = preview.histogram(found.lengths, found.max_length, lang)
    heads = ["", *(t(f"{_OWN}.spread.{name}", lang) for name in SPREAD)]
    known = [count(found.percentiles[name]) for name in SPREAD if name in found.percentiles]
    spread = ""
    if len(known) == len(SPREAD):
        spread = figures.table(heads, [[t(f"{_OWN}.tokens_per_row", lang), *known]], "tokens")
    if not drawn:
        return ""
    return figures.card(
        t(f"{_OWN}.lengths_title", lang), f'<div class="work-wide">{drawn}{spread}</div>', "lengths"
    )


def _reasons(found: "Measured", lang: str) -> str:
    entries = [(t(f"data.reason.{code}", lang), rows) for code, rows in found.reasons.items()]
    return figures.card(t(f"{_OWN}.reasons_title", lang), figures.bars(entries, found.read),
                        "reasons")  # fmt: skip
