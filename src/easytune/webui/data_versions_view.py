"""The versions of a dataset as HTML: how each came to be, and what can be done with it."""

import json
from collections.abc import Mapping, Sequence
from html import escape

from easytune import quantities
from easytune.data.stored import StoredRow
from easytune.data.versions.manifest import VersionFacts
from easytune.i18n import t
from easytune.services.data_links import UsedBy
from easytune.services.version_origin import origin
from easytune.webui import data_download
from easytune.webui import data_figures as figures
from easytune.webui.data_figures import count

PAGE = 20
FIRST_ROWS = 3
_SHOWN_CHARACTERS = 400
_SHOWN_RUNS = 4
_OWN = "dataset_work.versions"


def render(
    versions: Sequence[VersionFacts],
    shown: int,
    first: int,
    used: Mapping[int, Sequence[UsedBy]],
    beginning: Sequence[StoredRow],
    lang: str,
) -> str:
    """Return a page of the versions, newest first.

    `shown` is the number of the version the page is about; `beginning` are its first rows. `first`
    counts versions from 0. `used` has the runs of each version on this page.
    """
    page = versions[first : first + PAGE]
    cards = "".join(
        _card(one, one.number == shown, used.get(one.number, ()), beginning, lang) for one in page
    )
    told = t(f"{_OWN}.count", lang, count=count(len(versions)))
    names = (t(f"{_OWN}.newer", lang), t(f"{_OWN}.older", lang))
    turning = figures.pages(first, PAGE, len(versions), told, names)
    return f'<div class="work-panel" id="data-versions-shown">{cards}{turning}</div>'


def _card(
    facts: VersionFacts,
    is_shown: bool,
    used: Sequence[UsedBy],
    beginning: Sequence[StoredRow],
    lang: str,
) -> str:
    marks = ' aria-current="true"' if is_shown else ""
    parts = (
        _head(facts, lang),
        f'<p class="work-origin">{escape(origin(facts, lang))}</p>',
        f'<p class="work-note">{escape(facts.note)}</p>' if facts.note else "",
        _facts(facts, lang),
        _used(used, lang),
        _beginning(beginning, lang) if is_shown else "",
        _actions(facts, is_shown, lang),
    )
    return (
        f'<article class="work-version" data-number="{facts.number}"{marks}>'
        f"{''.join(parts)}</article>"
    )


def _head(facts: VersionFacts, lang: str) -> str:
    name = escape(t(f"{_OWN}.name", lang, number=facts.number))
    chip = ""
    if facts.current:
        said = escape(t(f"{_OWN}.current", lang))
        chip = f'<span class="et-chip et-state-finished work-current">{said}</span>'
    tags = "".join(f'<span class="work-tag">{escape(tag)}</span>' for tag in facts.tags)
    when = f"{facts.created.astimezone():%Y-%m-%d %H:%M}"
    author = f" · {facts.author}" if facts.author else ""
    return (
        f'<header><b class="work-name">{name}</b>{chip}{tags}'
        f'<span class="work-when">{escape(when + author)}</span></header>'
    )


def _facts(facts: VersionFacts, lang: str) -> str:
    said = [t(f"{_OWN}.rows", lang, rows=count(facts.rows))]
    if facts.problems:
        said.append(t(f"{_OWN}.problems", lang, rows=count(facts.problems)))
    if facts.held_out:
        said.append(t(f"{_OWN}.held_out", lang, rows=count(facts.held_out)))
    said.append(quantities.size(facts.size_bytes))
    told = "".join(f"<span>{escape(text)}</span>" for text in said)
    name = escape(t(f"{_OWN}.fingerprint", lang, fingerprint=facts.fingerprint), quote=True)
    mark = escape(facts.fingerprint, quote=True)
    return (
        f'<p class="work-facts">{told}<button type="button" class="work-print" title="{name}"'
        f' aria-label="{name}" data-et-copy="{mark}">{escape(facts.fingerprint[:12])}</button></p>'
    )


def _used(used: Sequence[UsedBy], lang: str) -> str:
    if not used:
        return ""
    names = ", ".join(run.name for run in used[:_SHOWN_RUNS])
    more = f" +{len(used) - _SHOWN_RUNS}" if len(used) > _SHOWN_RUNS else ""
    said = t(f"{_OWN}.used_by", lang, runs=names + more)
    return f'<p class="work-used">{escape(said)}</p>'


def _beginning(rows: Sequence[StoredRow], lang: str) -> str:
    drawn = "".join(f"<pre>{escape(_cut(row))}</pre>" for row in rows)
    title = escape(t(f"{_OWN}.first_rows", lang))
    return f'<div class="work-beginning"><span>{title}</span>{drawn}</div>' if rows else ""


def _cut(row: StoredRow) -> str:
    """Return the row as people read it, cut; its own text when it could not be parsed."""
    value = row.value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " …"


def _actions(facts: VersionFacts, is_shown: bool, lang: str) -> str:
    acts = ["describe"]
    if not facts.current:
        acts = ["compare", "switch", "rollback", *acts]
    if not is_shown:
        acts = ["show", *acts]
    buttons = "".join(
        figures.button(act, t(f"{_OWN}.act.{act}", lang), number=facts.number) for act in acts
    )
    menu = data_download.menu(facts.reference, lang)
    delete = figures.button("delete", t(f"{_OWN}.act.delete", lang), number=facts.number)
    return f'<div class="work-buttons">{buttons}{menu}{delete}</div>'
