"""Strengths of an adapter: what is measured at each, and what the curve says."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from easytune import events, strength, strengths
from easytune.engine import exporter
from easytune.engine.exporting.session import Session
from easytune.events import Notice
from easytune.export import ExportConfig
from easytune.export_errors import ExportInvalid
from easytune.export_files import (
    ExportFolder,
    ExportOrder,
    StrengthCurve,
    StrengthPoint,
)
from easytune.services import strength_sheet
from easytune.webui import strength_view
from tests.engine import exported, merged, tiny


@dataclass
class Bench:
    """A home in which strengths are measured, and the model and rows to measure."""

    home: Path
    base: Path
    adapter: Path
    rows: Path

    def asked(self, name: str, adapter: Path | None = None, **options: Any) -> ExportFolder:
        """Write the folder of a job that measures an adapter, at 0.5 and 1.5 unless told."""
        folder = adapter or self.adapter
        asked = {"what__strengths": (0.5, 1.5), "what__rows": str(self.rows)} | options
        order = ExportOrder(
            config=ExportConfig().changed(**asked), sources=(exported.source(self.base, folder),)
        )
        found = ExportFolder(self.home / "exports" / name)
        found.path.mkdir(parents=True)
        found.job.write_text(yaml.safe_dump(order.model_dump(mode="json")))
        return found

    def measured(self, name: str, adapter: Path | None = None, **options: Any) -> ExportFolder:
        """Measure, and return the folder of the job."""
        found = self.asked(name, adapter, **options)
        assert exporter.run(found.path) == 0
        return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    place = tmp_path_factory.mktemp("strengths")
    base = tiny.save_folder(place / "base")
    rows = tiny.save_rows(place / "rows.jsonl", 12)
    return Bench(place / "home", base, merged.adapter(base, place / "adapter"), rows)


@pytest.fixture(scope="module")
def stopped(bench: Bench) -> ExportFolder:
    """A job that was stopped when it had measured two strengths of four."""
    found = bench.asked("1-stopped")
    own = Session.prompts_done

    def stopping(session: Session, done: int, total: int) -> None:
        if done == 2:
            session.folder.stop.touch()
        own(session, done, total)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "prompts_done", stopping)
        assert exporter.run(found.path) == 0
    return found


@pytest.fixture(scope="module")
def folder(bench: Bench, stopped: ExportFolder) -> ExportFolder:
    """A job that has measured two strengths, and the two ends that always are."""
    return bench.measured("2-whole")


def _kept(folder: ExportFolder) -> list[int]:
    """Return how many points a job says that it took over."""
    told = events.read(folder.events)[0]
    notices = [event for event in told if isinstance(event, Notice)]
    return [one.values["kept"] for one in notices if one.code == "strengths_kept"]


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


def test_what_was_measured_before_a_stop_is_not_measured_again(
    bench: Bench, stopped: ExportFolder, folder: ExportFolder
) -> None:
    before, curve = stopped.curve(), folder.curve()
    assert before is not None
    assert curve is not None
    assert [one.strength for one in before.points] == [0, 0.5]
    assert curve.points[:2] == before.points
    assert (_kept(stopped), _kept(folder)) == ([], [2])
    again = bench.measured("3-again")
    assert again.curve() == curve
    assert _kept(again) == [4]


def test_figures_of_other_rows_are_measured_anew(bench: Bench, folder: ExportFolder) -> None:
    other = tiny.save_rows(bench.home / "other.jsonl", 7)
    found = bench.measured("4-other", what__strengths=(1.0,), what__rows=str(other))
    curve = found.curve()
    assert curve is not None
    assert curve.row_count == 7
    assert _kept(found) == []


@pytest.mark.parametrize(
    "options",
    [{"use_dora": True}, {"modules_to_save": ["lm_head"], "target_modules": ["q_proj"]}],
    ids=["dora", "whole modules"],
)
def test_a_strength_is_measured_of_the_weights_that_an_export_at_it_has(
    options: dict[str, Any], bench: Bench, tmp_path: Path
) -> None:
    adapter = merged.adapter(bench.base, tmp_path / "adapter", **options)
    found = bench.measured(tmp_path.name, adapter, what__strengths=(0.5,)).curve()
    assert found is not None
    bare, half, whole = found.points
    assert (bare.kl or 0) < 1e-9 < (half.kl or 0) < (whole.kl or 0)
    # As the base of a curve, so that no adapter is applied at all.
    written = merged.merge(bench.base, adapter, tmp_path / "half", strength=0.5)
    other = Bench(tmp_path / "home", written, merged.adapter(written, tmp_path / "o"), bench.rows)
    alone = other.measured("half", what__strengths=(0.0,)).curve()
    assert alone is not None
    assert half.loss == pytest.approx(alone.points[0].loss, rel=1e-5)
    assert half.loss != pytest.approx(bare.loss, rel=1e-4)


def test_an_adapter_that_only_peft_applies_has_no_strengths(tmp_path: Path) -> None:
    config = {"peft_type": "LORA", "trainable_token_indices": [1, 2]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ExportInvalid) as refused:
        strength.refuse_without(tmp_path)
    assert refused.value.reason == "@export.invalid.only_peft"


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
    for shown in ("0", "0.5", "1"):
        assert drawn.count(f'data-strength="{shown}"') == 3
    assert "keeps 90%" in drawn
    assert strength_view.draw(None, "en") == ""
    evil = curve.model_copy(update={"rows": "<script>"})
    assert "<script>" not in strength_view.draw(evil, "zh")
