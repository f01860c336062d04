"""Small pictures: dots with intervals, a line over steps, points, bars. Colours are variables."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from easytune.services.evaluation_report_words import number

COLOURS = 6
_WIDTH, _LABEL, _VALUE, _LINE, _PAD = 460, 150, 130, 22, 8
_PLOT_WIDTH, _PLOT_HEIGHT, _LEFT, _BOTTOM = 460, 200, 52, 34
_FLOOR = _PLOT_HEIGHT - _BOTTOM
_LONGEST_NAME = 24


@dataclass(frozen=True)
class Mark:
    """A figure with its interval, on a line of its own."""

    name: str
    value: float
    low: float
    high: float
    said: str
    colour: int


@dataclass(frozen=True)
class Point:
    """A figure with its interval, at a place along the bottom."""

    name: str
    x: float
    value: float
    low: float
    high: float
    colour: int


Placing = Callable[[Point], tuple[float, float, float, float]]
"""Where a point is: along, its figure, both ends of its interval."""


def dots(marks: Sequence[Mark]) -> str:
    """Return a line per figure: its name, a dot, its interval, and both in digits."""
    low, high = _range([m.low for m in marks] + [m.high for m in marks])
    left, right = _LABEL, _WIDTH - _VALUE
    parts = []
    for place, mark in enumerate(marks):
        y = _PAD + _LINE * place + _LINE / 2
        at, start, end = (
            _scaled(value, low, high, left, right) for value in (mark.value, mark.low, mark.high)
        )
        colour = _colour(mark.colour)
        parts += [
            f'<text class="name" x="0" y="{y + 4:.1f}">{_named(mark.name)}</text>',
            _straight(start, y, end, y, colour, 2),
            f'<circle cx="{at:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>',
            f'<text x="{_WIDTH - _VALUE + 10}" y="{y + 4:.1f}">{escape(mark.said)}</text>',
        ]
    return _svg(_WIDTH, _LINE * len(marks) + 2 * _PAD, parts)


def line(points: Sequence[Point], below: str, beside: str) -> str:
    """Return figures over steps, joined, each with its interval."""
    place = _placing(points)
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in map(place, points))
    drawn = f'<polyline points="{joined}" fill="none" stroke="{_colour(1)}" stroke-width="2"/>'
    return _plot(points, [drawn, *_bars(points, place)], below, beside)


def scatter(points: Sequence[Point], below: str, beside: str) -> str:
    """Return a dot per figure with its name."""
    place = _placing(points)
    parts = [*_bars(points, place)]
    for point in points:
        x, y, _, _ = place(point)
        anchor = "end" if x > _PLOT_WIDTH * 0.6 else "start"
        shift = -8 if anchor == "end" else 8
        parts.append(
            f'<text class="name" x="{x + shift:.1f}" y="{y - 6:.1f}" text-anchor="{anchor}">'
            f"{_named(point.name)}</text>"
        )
    return _plot(points, parts, below, beside)


def histogram(names: Sequence[str], counts: Sequence[Sequence[int]], edges: Sequence[float]) -> str:
    """Return how often scores fall between the edges: a bar per model beside each other."""
    most = max((count for column in counts for count in column), default=1) or 1
    height, top = _FLOOR, _LINE
    slot = _PLOT_WIDTH / max(len(edges) - 1, 1)
    width = (slot - 4) / max(len(counts), 1)
    parts = [*_legend(names)]
    for place, column in enumerate(counts):
        for slot_number, count in enumerate(column):
            tall = (height - top) * count / most
            x = slot * slot_number + 2 + width * place
            parts.append(
                f'<rect x="{x:.1f}" y="{height - tall:.1f}" width="{width:.1f}"'
                f' height="{tall:.1f}" fill="{_colour(place)}"><title>{count}</title></rect>'
            )
    for share, anchor in ((0, "start"), (0.5, "middle"), (1, "end")):
        edge = edges[0] + (edges[-1] - edges[0]) * share
        parts.append(_text(_PLOT_WIDTH * share, height + 16, _digits(edge), anchor))
    return _svg(_PLOT_WIDTH, _PLOT_HEIGHT, parts)


def _placing(points: Sequence[Point]) -> Placing:
    low, high = _range([p.low for p in points] + [p.high for p in points])
    first, last = _range([p.x for p in points])

    def place(point: Point) -> tuple[float, float, float, float]:
        x = _scaled(point.x, first, last, _LEFT, _PLOT_WIDTH - _PAD)
        y, bottom, top = (
            _scaled(value, low, high, _FLOOR, _PAD)
            for value in (point.value, point.low, point.high)
        )
        return x, y, bottom, top

    return place


def _plot(points: Sequence[Point], drawn: list[str], below: str, beside: str) -> str:
    right = _PLOT_WIDTH - _PAD
    axes = [
        _straight(_LEFT, _FLOOR, right, _FLOOR, "var(--line)", 1),
        _straight(_LEFT, _PAD, _LEFT, _FLOOR, "var(--line)", 1),
        _text((_LEFT + right) / 2, _FLOOR + 28, below, "middle"),
        f'<text transform="translate(12 {(_PAD + _FLOOR) / 2:.0f}) rotate(-90)"'
        f' text-anchor="middle">{escape(beside)}</text>',
        *_ticks(points),
    ]
    return _svg(_PLOT_WIDTH, _PLOT_HEIGHT, axes + drawn)


def _ticks(points: Sequence[Point]) -> Iterator[str]:
    """Yield the smallest and the largest number of each axis, where they are."""
    place = _placing(points)
    lowest, highest = min(points, key=_value), max(points, key=_value)
    yield _text(_LEFT - 6, place(lowest)[1] + 4, _digits(lowest.value), "end")
    if highest.value > lowest.value:
        yield _text(_LEFT - 6, place(highest)[1] + 4, _digits(highest.value), "end")
    first, last = min(points, key=_along), max(points, key=_along)
    yield _text(place(first)[0], _FLOOR + 14, _digits(first.x), "middle")
    if last.x > first.x:
        yield _text(place(last)[0], _FLOOR + 14, _digits(last.x), "end")


def _value(point: Point) -> float:
    return point.value


def _along(point: Point) -> float:
    return point.x


def _digits(value: float) -> str:
    """Return a number of an axis, as short as it can be: `40`, `0.62`, `81.7`."""
    return f"{value:.3g}".replace("-", "−") if abs(value) < 1000 else f"{value:,.0f}"


def _bars(points: Sequence[Point], place: Placing) -> Iterator[str]:
    for point in points:
        x, y, bottom, top = place(point)
        colour = _colour(point.colour)
        yield _straight(x, bottom, x, top, colour, 1.5)
        title = escape(f"{point.name}: {number(point.value)}")
        yield (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}">'
            f"<title>{title}</title></circle>"
        )


def _legend(names: Sequence[str]) -> Iterator[str]:
    step = _PLOT_WIDTH / max(len(names), 1)
    for place, name in enumerate(names):
        x = step * place
        shown = escape(_short(name, max(4, int(step / 7))))
        yield f'<rect x="{x:.1f}" y="2" width="9" height="9" fill="{_colour(place)}"/>'
        yield f'<text class="name" x="{x + 13:.1f}" y="11">{shown}</text>'


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<svg {size} role="img">{"".join(parts)}</svg>'


def _straight(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _named(name: str) -> str:
    return f"{escape(_short(name, _LONGEST_NAME))}<title>{escape(name)}</title>"


def _short(name: str, longest: int) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _colour(place: int) -> str:
    return f"var(--c{place % COLOURS})"


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis: a little more than the values, never of no width."""
    found = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(found), max(found)
    space = (high - low) * 0.06 or max(abs(high), 1.0) * 0.05
    return low - space if low else 0.0, high + space


def _scaled(value: float, low: float, high: float, first: float, last: float) -> float:
    inside = min(max(value, low), high)
    return first + (inside - low) / (high - low) * (last - first)
