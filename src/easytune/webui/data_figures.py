"""Figures on data as HTML: tiles, bars, tables. Everything that comes from a dataset is escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from easytune.data.stored import PREFIX, Reference

CLICKS = "easytune.workClicks(element, trigger);"
_SHOWN_BARS = 12


def if_shown(element: str) -> str:
    """Return the JavaScript that lets an event pass only while its panel is in sight.

    The first input is the version; a panel out of sight gets none, and is drawn when it is opened.
    """
    shown = f"document.querySelector('#{element}')?.offsetParent"
    return f"(selected, ...rest) => [{shown} ? selected : '', ...rest]"


def reference_of(selected: str | None) -> Reference | None:
    """Return the version that `selected` ("name@3") stands for, None for none."""
    return Reference.parse(f"{PREFIX}{selected}") if selected else None


def count(number: int) -> str:
    """Return a number with its thousands told apart."""
    return f"{number:,}"


def share(part: float, whole: float) -> str:
    """Return a part in percent, so that what is there never reads as nothing, nor most as all."""
    if not whole or not part:
        return "0%"
    percent = 100 * part / whole
    if percent < 0.1:
        return "<0.1%"
    if 99.9 < percent < 100:
        return ">99.9%"
    return f"{percent:.1f}%" if percent < 10 or 99 <= percent < 100 else f"{percent:.0f}%"


def tile(name: str, value: str, note: str = "", tone: str = "", ident: str = "") -> str:
    """Return one figure with its name above and a note below; `tone` warn or bad colours it."""
    marks = f' data-figure="{escape(ident, quote=True)}"' if ident else ""
    classes = f"et-tile work-{tone}" if tone else "et-tile"
    return (
        f'<div class="{classes}"{marks}><span>{escape(name)}</span>'
        f"<b>{escape(value)}</b><small>{escape(note)}</small></div>"
    )


def tiles(drawn: Iterable[str]) -> str:
    """Return tiles side by side, as many as there is room for."""
    return f'<div class="work-tiles">{"".join(drawn)}</div>'


def card(title: str, body: str, ident: str = "") -> str:
    """Return a part of the page under a title; `body` is HTML. Without a body there is no card."""
    if not body:
        return ""
    marks = f' data-card="{escape(ident, quote=True)}"' if ident else ""
    return f'<section class="work-card"{marks}><h4>{escape(title)}</h4>{body}</section>'


def bars(entries: Sequence[tuple[str, int]], whole: int, rest: str = "") -> str:
    """Return a bar per name, the longest as wide as there is room.

    `whole` is what shares are of. After a dozen, `rest` (with {count}) says how many more.
    """
    if not entries:
        return ""
    most = max(number for _, number in entries) or 1
    rows = "".join(_bar(name, number, most, whole) for name, number in entries[:_SHOWN_BARS])
    more = len(entries) - _SHOWN_BARS
    said = f'<p class="et-fact">{escape(rest.format(count=more))}</p>' if more > 0 and rest else ""
    return f'<div class="work-bars">{rows}</div>{said}'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], ident: str = "") -> str:
    """Return a table of figures; the first cell of a row is its name. All are plain texts."""
    marks = f' data-table="{escape(ident, quote=True)}"' if ident else ""
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f'<div class="work-scroll"><table class="work-figures"{marks}>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def empty(text: str) -> str:
    """Return what stands where there is nothing to show, and says what to do next."""
    return f'<div class="et-empty work-empty">{escape(text)}</div>'


def notice(text: str, tone: str = "quiet") -> str:
    """Return one sentence in a box; `tone` is quiet, warn, bad or good."""
    role = "alert" if tone == "bad" else "status"
    return f'<p class="work-notice work-{tone}" role="{role}">{escape(text)}</p>'


def button(act: str, text: str, **values: object) -> str:
    """Return a small button whose click the gr.HTML around it tells, with `act` and `values`."""
    told = "".join(
        f' data-{name.replace("_", "-")}="{escape(str(value), quote=True)}"'
        for name, value in values.items()
    )
    return (
        f'<button type="button" class="et-mini" data-work="{escape(act, quote=True)}"{told}>'
        f"{escape(text)}</button>"
    )


def row_numbers(positions: Sequence[int], act: str = "row") -> str:
    """Return a small button per position, with its number counted from 1."""
    drawn = "".join(button(act, count(place + 1), position=place) for place in positions)
    return f'<span class="work-rows">{drawn}</span>'


def pages(first: int, shown: int, total: int, told: str, names: tuple[str, str]) -> str:
    """Return where in a list of `total` one is, with buttons to the pages before and after.

    `told` is the sentence between the buttons, `names` what the buttons are called aloud.
    """
    if total <= shown and first == 0:
        return f'<div class="work-pages"><span>{escape(told)}</span></div>'
    back = _page_button("‹", max(0, first - shown), first > 0, names[0])
    on = _page_button("›", first + shown, first + shown < total, names[1])
    return f'<div class="work-pages">{back}<span>{escape(told)}</span>{on}</div>'


def _page_button(sign: str, first: int, is_there: bool, name: str) -> str:
    disabled = "" if is_there else " disabled"
    return (
        f'<button type="button" class="et-mini" data-work="page" data-first="{first}"'
        f' aria-label="{escape(name, quote=True)}"{disabled}>{sign}</button>'
    )


def _bar(name: str, number: int, most: int, whole: int) -> str:
    width = max(100 * number / most, 0.5)
    return (
        f'<span class="work-bar-name" title="{escape(name, quote=True)}">{escape(name)}</span>'
        f'<span class="work-bar"><i style="width:{width:.1f}%"></i></span>'
        f"<b>{count(number)}</b><small>{share(number, whole)}</small>"
    )
