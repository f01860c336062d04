"""A curve of strengths in words: a table, and the strength that is worth a thought."""

from easytune import strengths
from easytune.data.probe import BUNDLED
from easytune.data.test_sets import HELD_OUT
from easytune.export_files import StrengthCurve, StrengthPoint
from easytune.i18n import t
from easytune.services.report_table import Table
from easytune.strengths import Effect

_HEAD = ("strength", "loss", "kept", "forgetting", "forgot")


def table(curve: StrengthCurve, lang: str) -> Table:
    """Return what was measured at each strength."""
    pairs = zip(curve.points, strengths.effects(curve.points), strict=True)
    return Table(
        title=t("strengths.title", lang),
        head=tuple(t(f"strengths.column.{name}", lang) for name in _HEAD),
        rows=tuple(_row(point, effect) for point, effect in pairs),
    )


def sentence(curve: StrengthCurve, lang: str) -> str:
    """Return what the curve suggests; "" before the whole adapter was measured."""
    points = curve.points
    if not any(one.strength == 1 for one in points):
        return ""
    if all(one.loss is None for one in points):
        return t("strengths.no_rows", lang)
    found = strengths.suggested(points)
    if found is None:
        return t("strengths.keep", lang)
    return t("strengths.suggested", lang, strength=f"{found.strength:g}", **_shares(found))


def about(curve: StrengthCurve, lang: str) -> str:
    """Return what the figures were measured on."""
    probe = t("form.choice.demo.probe", lang) if curve.probe == BUNDLED else curve.probe
    if not curve.rows:
        return t("strengths.measured_probe", lang, probe=probe)
    run = curve.rows.removeprefix(HELD_OUT)
    rows = curve.rows if run == curve.rows else t("strengths.kept_back", lang, run=run)
    values = {"rows": f"{curve.row_count:,}", "set": rows, "probe": probe}
    return t("strengths.measured", lang, **values)


def _row(point: StrengthPoint, effect: Effect) -> tuple[str, ...]:
    shares = _shares(effect)
    return (
        f"{point.strength:g}",
        "–" if point.loss is None else f"{point.loss:.3f}",
        shares["kept"],
        "–" if point.forgetting is None else f"{point.forgetting:.3f}",
        shares["forgot"],
    )


def _shares(effect: Effect) -> dict[str, str]:
    found = {"kept": effect.kept, "forgot": effect.forgot}
    return {name: "–" if share is None else f"{share:.0%}" for name, share in found.items()}
