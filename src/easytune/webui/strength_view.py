"""The curve of strengths as a picture: what is kept of the learning, and what it forgets."""

from collections.abc import Sequence
from html import escape

from easytune import strengths
from easytune.export_files import StrengthCurve
from easytune.i18n import t
from easytune.services import strength_sheet
from easytune.strengths import Effect

_WIDTH, _HEIGHT = 560, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 14, 34
_MOST = 1.5
CLICKS = """
const choose = (event) => {
  const point = event.target.closest('[data-strength]');
  if (point) trigger('click', { strength: Number(point.dataset.strength) });
};
element.addEventListener('click', choose);
element.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' || event.key === ' ') choose(event);
});
"""
"""Turns a click on a point, or a key on it, into an event that tells its strength."""
Point = tuple[float, float]


def draw(curve: StrengthCurve | None, lang: str) -> str:
    """Return chart, suggestion and table as HTML; a click on a point sends its strength."""
    if curve is None or not curve.points:
        return ""
    found = strengths.effects(curve.points)
    parts = [
        f'<p class="et-strength-advice">{escape(strength_sheet.sentence(curve, lang))}</p>',
        f'<p class="et-muted">{escape(t("strengths.choose", lang))}</p>',
        _legend(lang),
        _chart(found, lang),
        _table(curve, lang),
        f'<p class="et-muted">{escape(strength_sheet.about(curve, lang))}</p>',
    ]
    return f'<div class="et-strengths">{"".join(parts)}</div>'


def _legend(lang: str) -> str:
    names = "".join(
        f'<span class="et-legend-{name}">{escape(t(f"strengths.column.{name}", lang))}</span>'
        for name in ("kept", "forgot")
    )
    return f'<div class="et-strength-legend">{names}</div>'


def _chart(found: Sequence[Effect], lang: str) -> str:
    top = max([1.0, *(max(one.kept or 0.0, one.forgot or 0.0) for one in found)])
    curves = "".join(
        _curve(found, name, t(f"strengths.column.{name}", lang), top) for name in ("kept", "forgot")
    )
    title = escape(t("strengths.title", lang), quote=True)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}"'
        f' class="et-strength-chart">{_axes(top, lang)}{curves}</svg>'
    )


def _axes(top: float, lang: str) -> str:
    lines = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(share, top)
        lines.append(
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"'
            f' class="et-grid"/><text x="{_LEFT - 6}" y="{y + 4:.1f}"'
            f' text-anchor="end">{share:.0%}</text>'
        )
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5):
        x, y = _x(tick), _HEIGHT - _BOTTOM + 16
        lines.append(f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{tick:g}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    name = escape(t("strengths.column.strength", lang))
    lines.append(f'<text x="{middle:.0f}" y="{_HEIGHT - 3}" text-anchor="middle">{name}</text>')
    return "".join(lines)


def _curve(found: Sequence[Effect], name: str, title: str, top: float) -> str:
    known = [(one.strength, share) for one in found if (share := getattr(one, name)) is not None]
    if not known:
        return ""
    places = [(_x(strength), _y(share, top)) for strength, share in known]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(_dot(place, pair, title) for place, pair in zip(places, known, strict=True))
    return f'<g class="et-curve-{name}"><polyline points="{line}" fill="none"/>{dots}</g>'


def _dot(place: Point, known: Point, title: str) -> str:
    """Return a point that can be chosen with the mouse and by keyboard."""
    strength, share = known
    said = escape(f"{strength:g}: {title} {share:.0%}", quote=True)
    return (
        f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="5" tabindex="0" role="button"'
        f' data-strength="{strength:g}" aria-label="{said}"><title>{said}</title></circle>'
    )


def _table(curve: StrengthCurve, lang: str) -> str:
    found = strength_sheet.table(curve, lang)
    head = "".join(f"<th>{escape(name)}</th>" for name in found.head)
    rows = "".join(
        f'<tr data-strength="{escape(row[0], quote=True)}">'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row in found.rows
    )
    return f'<table class="et-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _x(strength: float) -> float:
    return _LEFT + min(strength, _MOST) / _MOST * (_WIDTH - _LEFT - _RIGHT)


def _y(share: float, top: float) -> float:
    height = _HEIGHT - _TOP - _BOTTOM
    return _TOP + (1 - max(0.0, min(share, top)) / top) * height
