"""What a run would see of its rows and how long it would take, beside the counts of the preview."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from easytune import demo, events, job, paths
from easytune.config import TrainConfig
from easytune.data.insight.measure import Measured, measure
from easytune.data.preview import preview
from easytune.data.progress import Unit
from easytune.dataset_errors import TaskCancelled
from easytune.events import Started, Step
from easytune.job import Job, JobFolder
from tests.data.insight_rows import alpaca

WORDS = ["sea", "moon", "tide", "river", "light", "stone", "cloud", "wind"]


def rows_file(folder: Path, rows: int = 60) -> str:
    """Return a file of rows of many lengths; one in ten has no answer."""
    values = [
        alpaca(f"What about {WORDS[n % 8]}?", " ".join(WORDS * (n % 7 + 1)) if n % 10 else "")
        for n in range(rows)
    ]
    path = folder / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, values)), encoding="utf-8")
    return str(path)


def config(path: str, **options: Any) -> TrainConfig:
    chosen = {"data__datasets": (path,), "data__max_length": 64, "schedule__batch_size": 4}
    return TrainConfig().changed(**chosen | options)


def ran(home: Path, minutes: int, speeds: list[float], **options: Any) -> JobFolder:
    """Leave a run of the demo model behind that reported these tokens a second."""
    created = datetime(2026, 11, 21, tzinfo=UTC) + timedelta(minutes=minutes)
    asked = Job(config=TrainConfig().changed(**options), created=created)
    folder = job.create(paths.runs(home), asked)
    events.append(folder.events, Started(pid=1, total_steps=len(speeds), device="cpu"))
    for step, speed in enumerate(speeds, 1):
        events.append(
            folder.events,
            Step(step=step, epoch=0, loss=1, learning_rate=1e-4, tokens_per_second=speed),
        )
    return folder


def test_the_figures_are_those_of_the_preview_and_of_the_layout(tmp_path: Path) -> None:
    chosen = config(rows_file(tmp_path), schedule__gradient_accumulation=2, schedule__epochs=2.5)
    found = measure(chosen, demo.MODEL, tmp_path)
    shown = preview(chosen.data, demo.MODEL, 0)
    assert (found.read, found.used, found.held_out) == (shown.read, shown.used, shown.held_out)
    assert (found.truncated, found.dropped) == (shown.truncated, shown.dropped)
    assert found.truncated > 0
    assert found.reasons == shown.reasons == {"empty": 6}
    assert found.lengths == shown.lengths
    assert 0 < found.supervised_tokens < found.total_tokens < shown.total_tokens
    assert found.steps_per_epoch == math.ceil(found.used / 8)
    assert found.total_steps == math.ceil(2.5 * found.steps_per_epoch)
    assert found.percentiles["max"] > 64 >= found.percentiles["p5"]
    assert (found.sampled, found.seconds, found.pace_run) == (None, None, None)
    assert Measured.model_validate_json(found.model_dump_json()) == found


def test_packing_saves_the_padding_of_every_batch_of_the_epoch(tmp_path: Path) -> None:
    path = rows_file(tmp_path)
    packed = measure(config(path, data__packing=True), demo.MODEL, tmp_path)
    padded = measure(config(path, data__packing=False), demo.MODEL, tmp_path)
    assert packed.padding_tokens == padded.padding_tokens > 0
    computed = padded.total_tokens + padded.padding_tokens
    assert padded.padding_share == pytest.approx(padded.padding_tokens / computed)
    # Batches of four rows of at most 64 tokens; packed ones have no padding in them.
    assert packed.largest_batch_tokens <= padded.largest_batch_tokens <= 4 * 64
    batches = math.ceil(padded.used / 4)
    assert computed <= batches * padded.largest_batch_tokens
    assert packed.largest_batch_tokens >= packed.total_tokens / batches


def test_weights_and_the_row_limit_count_as_in_training(tmp_path: Path) -> None:
    path = rows_file(tmp_path)
    once = measure(config(path, data__held_out_share=0), demo.MODEL, tmp_path)
    twice = measure(
        config(path, data__held_out_share=0, data__weights=(2.0,)), demo.MODEL, tmp_path
    )
    assert (twice.used, twice.total_tokens) == (2 * once.used, 2 * once.total_tokens)
    assert twice.steps_per_epoch == 2 * once.steps_per_epoch - 1  # 54 rows make 13.5 steps of 4
    few = measure(config(path, data__max_rows=20), demo.MODEL, tmp_path)
    assert (few.used + few.held_out, few.left_out) == (20, 34)


def test_a_sample_is_scaled_to_the_whole(tmp_path: Path) -> None:
    chosen = config(rows_file(tmp_path, 600))
    whole, some = (measure(chosen, demo.MODEL, tmp_path, limit=n) for n in (None, 300))
    assert (whole.sampled, some.sampled) == (None, 300)
    assert (some.read, some.used, some.held_out) == (whole.read, whole.used, whole.held_out)
    assert (some.steps_per_epoch, some.total_steps) == (whole.steps_per_epoch, whole.total_steps)
    for name in ("total_tokens", "supervised_tokens", "truncated", "padding_tokens"):
        assert getattr(some, name) == pytest.approx(getattr(whole, name), rel=0.2), name
    assert sum(each.rows for each in some.lengths) == pytest.approx(540, abs=5)
    few = measure(chosen, demo.MODEL, tmp_path, limit=2)
    assert (few.used, few.held_out, few.sampled) == (whole.used, whole.held_out, 3)


def test_the_time_is_told_from_the_latest_run_on_this_model(tmp_path: Path) -> None:
    ran(tmp_path, 1, [10.0] * 5)
    latest = ran(tmp_path, 2, [1.0, 100.0, 100.0, 120.0, 100.0])
    ran(tmp_path, 3, [900.0], model__method="full")
    ran(tmp_path, 4, [])
    ran(tmp_path, 5, [5000.0], model__base_model="another/model")
    (paths.runs(tmp_path) / "20270101-broken").mkdir()
    found = measure(config(rows_file(tmp_path), schedule__epochs=2), demo.MODEL, tmp_path)
    assert (found.pace_run, found.tokens_per_second) == (latest.id, 100.0)
    assert found.seconds == pytest.approx(2 * found.total_tokens / 100, rel=0.01)
    full = measure(config(rows_file(tmp_path), model__method="full"), demo.MODEL, tmp_path)
    assert full.tokens_per_second == 900.0


def test_rows_that_this_model_cannot_learn_from_are_counted_not_raised(tmp_path: Path) -> None:
    template = tmp_path / "strict.jinja"
    template.write_text("{{ raise_exception('No rows today') }}", encoding="utf-8")
    chosen = config(rows_file(tmp_path), data__chat_template=str(template))
    found = measure(chosen, demo.MODEL, tmp_path)
    assert (found.used, found.total_tokens, found.total_steps) == (0, 0, 0)
    assert found.reasons == {"template_failed": 54, "empty": 6}
    assert (found.lengths, found.percentiles) == ([], {})
    assert found.problems[0].number == 1


def test_measuring_tells_how_far_it_is_and_can_be_cancelled(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []

    def note(phase: str, done: int, total: int | None, unit: Unit = "rows") -> None:
        told.append((phase, done, total))
        if phase == "measuring" and done:
            raise TaskCancelled

    with pytest.raises(TaskCancelled):
        measure(config(rows_file(tmp_path, 3000)), demo.MODEL, tmp_path, note)
    assert told == [("loading", 0, None), ("measuring", 0, 2700), ("measuring", 2048, 2700)]
