"""The list of versions, its filters, and the trash, as HTML. All that people wrote is escaped."""

from collections.abc import Sequence
from html import escape

from easytune import forgetting, quantities
from easytune.i18n import t
from easytune.services import forgotten
from easytune.services.registry_entry import KINDS, SORTS, STAGES, Entry, Listing
from easytune.services.trash import Trashed
from easytune.webui import data_figures as figures

COLUMNS = ("version", "stage", "held_out_loss", "forgetting", "created")
PAGE = 100
"""Versions on one page: more than that nobody reads, and a browser takes long to draw them."""
_MOST_TAGS = 4
_TRASH = {
    "restore": "restore", "remove": "remove", "remove_really": "remove-really",
    "keep": "remove-not",
}  # fmt: skip


def filters(found: Listing, chosen: dict[str, str], lang: str) -> str:
    """Return what the list can be narrowed by; `chosen` by name, "" for all."""
    offered: dict[str, list[tuple[str, str]]] = {
        "stage": [(one, t(f"models.stage.{one}", lang)) for one in STAGES],
        "kind": [(one, t(f"models.kind.{one}", lang)) for one in KINDS],
        "base": [(one, one) for one in found.bases],
        "tag": [(one, one) for one in found.tags],
    }
    every = [("", t("models.all", lang))]
    drawn = [
        _select(name, every + choices, chosen.get(name, ""), lang)
        for name, choices in offered.items()
        if choices
    ]
    sorts = [(one, t(f"models.sort.{one}", lang)) for one in SORTS]
    drawn.append(_select("sort", sorts, chosen.get("sort") or SORTS[0], lang))
    return f'<div class="models-filters">{"".join(drawn)}</div>'


def table(found: Listing, first: int, shown: str, picked: Sequence[str], lang: str) -> str:
    """Return one page of the list; `shown` is on the sheet, `picked` are to be compared."""
    told = ""
    if found.pending:
        told = figures.notice(t("models.pending", lang, count=f"{found.pending:,}"))
    if not found.entries:
        key = "models.no_match" if found.total else "models.empty"
        return told or figures.empty(t(key, lang))
    entries = found.entries[first : first + PAGE]
    heads = "".join(f"<th>{escape(t(f'models.fact.{name}', lang))}</th>" for name in COLUMNS)
    rows = "".join(_row(one, one.key == shown, one.key in picked, lang) for one in entries)
    total, last = len(found.entries), first + len(entries)
    said = t("models.count", lang, shown=f"{total:,}", total=f"{found.total:,}")
    if total > PAGE:
        values = {"first": f"{first + 1:,}", "last": f"{last:,}", "total": f"{total:,}"}
        said = t("models.page", lang, **values)
    names = (t("models.page_before", lang), t("models.page_after", lang))
    return (
        f'{told}<div class="et-table-wrap"><table class="et-table models-list">'
        f"<thead><tr>{heads}<th></th></tr></thead><tbody>{rows}</tbody></table></div>"
        f"{figures.pages(first, PAGE, total, said, names)}"
    )


def trash(there: Sequence[Trashed], asking: bool, leaving: str, lang: str) -> str:
    """Return what is in the trash; `asking` whether all of it shall go for good, or `leaving`."""
    if not there:
        return figures.empty(t("models.trash.empty", lang))
    size = quantities.size(sum(one.bytes for one in there))
    facts = {"count": len(there), "size": size}
    button = figures.button("empty", t("models.act.empty", lang))
    if asking:
        button = (
            f"<p>{escape(t('models.trash.empty_really', lang, **facts))}</p>"
            + figures.button("empty-really", t("models.act.empty_really", lang))
            + figures.button("empty-not", t("models.act.keep", lang))
        )
    heads = "".join(
        f"<th>{escape(t(f'models.fact.{name}', lang))}</th>"
        for name in ("version", "kind", "size", "deleted")
    )
    rows = "".join(_trashed(one, one.id == leaving, lang) for one in there)
    return (
        f'<div class="models-trash-head"><b>{escape(t("models.trash.total", lang, **facts))}</b>'
        f'<span class="work-buttons">{button}</span></div>'
        f'<div class="et-table-wrap"><table class="et-table"><thead><tr>{heads}<th></th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def stage_chip(stage: str, lang: str) -> str:
    """Return a stage as a coloured word."""
    said = escape(t(f"models.stage.{stage}", lang))
    return f'<span class="models-stage" data-stage="{escape(stage, quote=True)}">{said}</span>'


def score(entry: Entry) -> str:
    """Return what a version has forgotten, coloured where that is much; "" where unknown."""
    found = entry.facts.forgetting
    if found is None:
        return ""
    tone = forgetting.band(found[0])
    return f'<span data-tone="{tone}">{forgotten.number(found[0])}</span>'


def _select(name: str, choices: list[tuple[str, str]], chosen: str, lang: str) -> str:
    drawn = "".join(
        f'<option value="{escape(value, quote=True)}"{" selected" if value == chosen else ""}>'
        f"{escape(text)}</option>"
        for value, text in choices
    )
    title = escape(t(f"models.filter.{name}", lang))
    return f'<label><span>{title}</span><select data-filter="{name}">{drawn}</select></label>'


def _row(entry: Entry, is_shown: bool, is_picked: bool, lang: str) -> str:
    facts = entry.facts
    loss = f"{facts.loss:.4f}" if facts.loss is not None else ""
    cells = [
        _named(entry, lang), stage_chip(entry.stage, lang), loss,
        score(entry), _day(entry), _buttons(entry, is_picked, lang),
    ]  # fmt: skip
    current = ' aria-current="true"' if is_shown else ""
    body = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr data-entry="{escape(entry.key, quote=True)}"{current}>{body}</tr>'


def _named(entry: Entry, lang: str) -> str:
    small = [t(f"models.kind.{entry.facts.kind}", lang)]
    if entry.facts.target:
        small.append(entry.facts.target)
    if entry.facts.step is not None:
        small.append(f"@{entry.facts.step}")
    small += [entry.base_name, quantities.size(entry.facts.bytes)]
    tags = "".join(
        f'<span class="work-tag">{escape(tag)}</span>' for tag in entry.tags[:_MOST_TAGS]
    )
    if more := entry.tags[_MOST_TAGS:]:
        tags += f'<small title="{escape(", ".join(more), quote=True)}">+{len(more)}</small>'
    mark = ""
    if entry.is_current:
        mark = f'<span class="models-current">{escape(t("models.current", lang))}</span>'
    name = (
        f'<button type="button" class="models-open" data-work="open"'
        f' data-id="{escape(entry.key, quote=True)}">{escape(entry.ref)}</button>'
    )
    return f"{name}{mark}<small>{escape(' · '.join(filter(None, small)))}</small>{tags}"


def _day(entry: Entry) -> str:
    moment = quantities.minute(entry.facts.created)
    return f'<span title="{moment}">{moment.partition(" ")[0]}</span>'


def _buttons(entry: Entry, is_picked: bool, lang: str) -> str:
    pressed = "true" if is_picked else "false"
    return (
        f'<span class="et-buttons"><button type="button" class="et-mini" data-work="pick"'
        f' aria-pressed="{pressed}" data-id="{escape(entry.key, quote=True)}">'
        f"{escape(t('models.act.pick', lang))}</button></span>"
    )


def _trashed(one: Trashed, is_leaving: bool, lang: str) -> str:
    works = ("remove_really", "keep") if is_leaving else ("restore", "remove")
    buttons = "".join(
        figures.button(_TRASH[work], t(f"models.act.{work}", lang), id=one.id) for work in works
    )
    cells = [
        escape(one.title), escape(t(f"models.kind.{one.kind}", lang)), quantities.size(one.bytes),
        f"{quantities.minute(one.at)} {escape(one.who)}",
        f'<span class="et-buttons">{buttons}</span>',
    ]  # fmt: skip
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
