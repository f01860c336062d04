"""Strengths of an adapter: what is measured at each, and what the curve says."""

import pytest
import yaml

from easytune import model_files, strengths
from easytune.engine import exporter
from easytune.export import ExportConfig
from easytune.export_files import (
    ExportFolder,
    ExportOrder,
    Source,
    StrengthCurve,
    StrengthPoint,
)
from easytune.services import strength_sheet
from easytune.webui import strength_view
from tests.engine import merged, tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ExportFolder:
    """A job that has measured three strengths, and the two ends that always are."""
    place = tmp_path_factory.mktemp("strengths")
    base = tiny.save_folder(place / "base")
    adapter = merged.adapter(base, place / "adapter")
    rows = tiny.save_rows(place / "rows.jsonl", 12)
    config = ExportConfig().changed(what__strengths=(0.5, 1.5), what__rows=str(rows))
    source = Source(
        id=str(adapter),
        title="adapter",
        kind="adapter",
        folder=str(adapter),
        base=str(base),
        base_folder=str(base),
        is_adapter=True,
        fingerprint=model_files.fingerprint(adapter),
    )
    found = ExportFolder(place / "home" / "exports" / "curve")
    found.path.mkdir(parents=True)
    order = ExportOrder(config=config, sources=(source,))
    found.job.write_text(yaml.safe_dump(order.model_dump(mode="json")))
    assert exporter.run(found.path) == 0
    return found


def test_learning_and_forgetting_are_measured_at_every_strength(folder: ExportFolder) -> None:
    curve = folder.curve()
    assert curve is not None
    assert [one.strength for one in curve.points] == [0, 0.5, 1, 1.5]
    assert curve.row_count == 12
    assert all(one.loss is not None for one in curve.points)
    bare, *others = curve.points
    assert bare.forgetting == pytest.approx(0, abs=1e-6)
    assert bare.kl == pytest.approx(0, abs=1e-6)
    divergences = [one.kl for one in others]
    assert divergences == sorted(divergences, key=lambda kl: kl or 0)
    assert (divergences[0] or 0) > 1e-5


def test_nothing_is_exported_and_nothing_left_behind(folder: ExportFolder) -> None:
    assert not folder.artefact.exists()
    assert not folder.result.exists()
    assert not folder.scratch.exists()
    assert not list(folder.part.iterdir()) if folder.part.exists() else True


def _curve(*points: tuple[float, float | None, float]) -> StrengthCurve:
    return StrengthCurve(
        rows="held-out:run",
        row_count=9,
        probe="demo/probe",
        points=tuple(
            StrengthPoint(strength=strength, loss=loss, forgetting=forgetting)
            for strength, loss, forgetting in points
        ),
    )


def test_the_strength_that_keeps_the_most_for_the_least_is_suggested() -> None:
    curve = _curve((0, 3.0, 0.0), (0.25, 2.0, 0.01), (0.5, 1.2, 0.06), (1, 1.0, 0.3), (1.5, 1.4, 1))
    found = strengths.suggested(curve.points)
    assert found is not None
    assert found.strength == 0.5
    assert found.kept == pytest.approx(0.9)
    assert strength_sheet.sentence(curve, "en") == (
        "Strength 0.5 keeps 90% of what was learned and forgets 6%."
    )
    assert [one.kept for one in strengths.effects(curve.points)] == pytest.approx(
        [0, 0.5, 0.9, 1, 0.8]
    )


def test_where_nothing_is_better_or_nothing_known_that_is_said() -> None:
    steady = _curve((0, 3.0, 0.0), (0.5, 2.0, 0.1), (1, 1.0, 0.2))
    assert strengths.suggested(steady.points) is None
    assert "No lower strength" in strength_sheet.sentence(steady, "en")
    unknown = _curve((0, None, 0.0), (1, None, 0.2))
    assert "only forgetting" in strength_sheet.sentence(unknown, "en")
    assert strength_sheet.sentence(_curve((0, 3.0, 0.0)), "en") == ""


def test_the_picture_has_a_point_to_choose_for_every_strength() -> None:
    curve = _curve((0, 3.0, 0.0), (0.5, 1.2, 0.06), (1, 1.0, 0.3))
    drawn = strength_view.draw(curve, "en")
    for strength in ("0", "0.5", "1"):
        assert drawn.count(f'data-strength="{strength}"') == 3
    assert "keeps 90%" in drawn
    assert strength_view.draw(None, "en") == ""
    evil = curve.model_copy(update={"rows": "<script>"})
    assert "<script>" not in strength_view.draw(evil, "zh")
