"""What the page says about a check of an import. Everything of a stranger is escaped here."""

from collections.abc import Iterator, Sequence
from html import escape

from easytune.i18n import has, t
from easytune.inspection_files import BehaviourPair, ComparedTemplate, Health
from easytune.services import inspection_sheet
from easytune.services.inspection_sheet import Group, Sheet, percent
from easytune.services.inspection_story import InspectionStory

_MOST_LAYERS = 24
_TONES = {"passed": "good", "warnings": "warn", "refused": "bad"}


def report(story: InspectionStory, lang: str) -> str:
    """Return a check as markup: verdict, findings, templates, health card, answers."""
    sheet = inspection_sheet.sheet(story, lang, _doing(story, lang))
    parts = [_head(story, sheet, lang)]
    parts += [_group(group) for group in sheet.groups]
    parts += [_template(one, lang) for one in story.inspection.static.templates]
    if (card := story.inspection.health) is not None and sheet.health:
        parts.append(_health(card, sheet.health, lang))
    if (said := story.inspection.behaviour) is not None and said.pairs:
        parts.append(_behaviour(said.pairs, sheet.behaviour, lang))
    parts.append(_list("inspection-facts", "", sheet.facts))
    title = t("inspection.unseen_title", lang)
    parts.append(_list("inspection-unseen", title, sheet.unseen))
    return f'<div class="et-inspection">{"".join(parts)}</div>'


def _doing(story: InspectionStory, lang: str) -> str:
    if story.state == "queued" and story.queue_position:
        return t("cli.waiting", lang, position=story.queue_position)
    key = f"cli.phase.{story.phase}" if story.phase else f"cli.state.{story.state}"
    return t(key, lang) if has(key) else story.phase


def _head(story: InspectionStory, sheet: Sheet, lang: str) -> str:
    name = t(f"inspection.verdict.{story.standing}", lang)
    tone = _TONES.get(story.standing, story.standing)
    state = f"<p>{escape(sheet.state)}</p>" if sheet.state else ""
    if not story.has_ended and story.total:
        share = f"{story.done / story.total:.0%}"
        state += f'<progress value="{story.done}" max="{story.total}">{share}</progress>'
    badge = f'<strong class="et-verdict et-{tone}">{escape(name)}</strong>'
    return f"<header>{badge} <span>{escape(sheet.verdict)}</span>{state}</header>"


def _group(group: Group) -> str:
    return _list(f"inspection-{group.severity}", group.title, group.sentences)


def _list(name: str, title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    heading = f"<h4>{escape(title)}</h4>" if title else ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<section class="{name}">{heading}<ul>{items}</ul></section>'


def _template(one: ComparedTemplate, lang: str) -> str:
    title = escape(t("inspection.template", lang, place=one.place))
    if one.same:
        said = escape(t("inspection.template_same", lang))
        return f'<section class="inspection-template"><h4>{title}</h4><p>{said}</p></section>'
    said = escape(t("inspection.template_diff", lang))
    lines = "".join(_diff_line(line) for line in one.diff) or escape(one.text)
    return (
        f'<details class="inspection-template" open><summary>{title}: {said}</summary>'
        f'<pre class="et-diff" tabindex="0">{lines}</pre></details>'
    )


def _diff_line(line: str) -> str:
    tag = {"+": "ins", "-": "del"}.get(line[:1], "span")
    # What cannot be seen is what a reader must not miss.
    seen = "".join(
        one if one.isprintable() or one == "\t" else f"\\u{ord(one):04x}" for one in line
    )
    return f"<{tag}>{escape(seen)}</{tag}>\n"


def _health(card: Health, lines: Sequence[str], lang: str) -> str:
    title = escape(t("inspection.health", lang))
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    heads = ("module", "relative", "rank")
    rows = "".join(_layers(card, lang))
    more = ""
    if len(card.modules) > _MOST_LAYERS:
        count = len(card.modules) - _MOST_LAYERS
        more = f"<p>{escape(t('inspection.more_layers', lang, count=count))}</p>"
    return (
        f'<section class="inspection-health"><h4>{title}</h4>{said}'
        f"{_table(heads, rows, lang)}{more}</section>"
    )


def _layers(card: Health, lang: str) -> Iterator[str]:
    largest = max((one.relative or 0 for one in card.modules), default=0) or 1
    for one in card.modules[:_MOST_LAYERS]:
        mark = f" ({t('inspection.outlier', lang)})" if one.outlier else ""
        share = (one.relative or 0) / largest
        bar = f'<meter min="0" max="1" value="{share:.3f}"></meter>'
        yield (
            f"<tr><td>{escape(one.module + mark)}</td><td>{bar} {percent(one.relative)}</td>"
            f"<td>{one.effective_rank:.1f} / {one.rank}</td></tr>"
        )


def _behaviour(pairs: Sequence[BehaviourPair], said: str, lang: str) -> str:
    title = escape(t("inspection.behaviour", lang))
    rows = "".join(_pair(one, lang) for one in pairs)
    table = _table(("prompt", "before", "now", "kl"), rows, lang)
    return (
        f'<details class="inspection-behaviour"><summary>{title}: {escape(said)}</summary>'
        f"{table}</details>"
    )


def _pair(one: BehaviourPair, lang: str) -> str:
    group = escape(t(f"inspection.group.{one.group}", lang))
    kl = f"{one.kl:.3f}" if one.kl is not None else "–"
    return (
        f"<tr><td>{escape(one.prompt)}<br><small>{group}</small></td><td>{escape(one.base)}</td>"
        f"<td>{escape(one.answer)}</td><td>{kl}</td></tr>"
    )


def _table(heads: Sequence[str], rows: str, lang: str) -> str:
    head = "".join(f"<th>{escape(t(f'inspection.column.{one}', lang))}</th>" for one in heads)
    return (
        '<div class="et-scroll" tabindex="0" style="overflow-x:auto"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
