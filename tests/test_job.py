"""A job folder appears whole, under a name that sorts by time, and says what was asked."""

from datetime import UTC, datetime
from pathlib import Path

from easytune import job
from easytune.config import TrainConfig


def test_what_was_asked_for_is_read_back(tmp_path: Path) -> None:
    config = TrainConfig().changed(lora__rank=8, output__name="客服 style")
    folder = job.create(tmp_path, job.Job(config=config, continues="earlier"))
    assert folder.read().config == config
    assert folder.read().continues == "earlier"


def test_no_unfinished_folder_is_left_beside_the_job(tmp_path: Path) -> None:
    folder = job.create(tmp_path, job.Job(config=TrainConfig()))
    assert [path.name for path in tmp_path.iterdir()] == [folder.id]


def test_jobs_of_the_same_instant_get_folders_of_their_own(tmp_path: Path) -> None:
    order = job.Job(config=TrainConfig(), created=datetime(2026, 1, 2, tzinfo=UTC))
    assert len({job.create(tmp_path, order).id for _ in range(3)}) == 3


def test_folder_names_sort_by_creation_and_are_safe(tmp_path: Path) -> None:
    config = TrainConfig().changed(output__name="../../a b\0c/德语")
    early = job.create(tmp_path, job.Job(config=config, created=datetime(2026, 1, 2, tzinfo=UTC)))
    late = job.create(tmp_path, job.Job(config=config, created=datetime(2026, 1, 3, tzinfo=UTC)))
    assert sorted([late.id, early.id]) == [early.id, late.id]
    assert early.path.parent == tmp_path
    assert early.id.endswith("a-b-c-德语")
