"""Submitting, stopping, resuming and reporting runs."""

import json
import os
from pathlib import Path

import pytest

from easytune import checkpoints, records, remedies
from easytune.errors import (
    CheckpointInvalid,
    DiskFull,
    FileMissing,
    ModelIncomplete,
    OutputNotEmpty,
    RunActive,
    RunMissing,
)
from easytune.evaluation_errors import NotLonger
from easytune.services import submission
from easytune.services.log import tail, without_secrets
from tests.services.lab import Lab, write_events


def checkpoint(lab: Lab, run_id: str, step: int) -> Path:
    """Put a whole checkpoint into a run, as the engine leaves it."""
    folder = lab.runs.folder(run_id).checkpoints / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "adapter_model.safetensors"):
        (folder / name).write_bytes(os.urandom(64))
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    checkpoints.seal(folder, step)
    return folder


def test_a_running_run_keeps_what_it_has_when_stopped(lab: Lab) -> None:
    run_id = lab.running("train")
    lab.runs.stop(run_id)
    story = lab.wait(run_id, "stopped", "finished", "crashed")
    assert story.state == "stopped"
    assert 0 < story.step < story.total_steps


def test_stop_now_does_not_wait_for_a_job_that_looks_away(lab: Lab) -> None:
    run_id = lab.running("sleeper")
    lab.runs.stop(run_id)
    assert lab.wait(run_id, "stopping").stop_stage == "asked"
    lab.runs.stop(run_id, now=True)
    story = lab.wait(run_id, "stopped")
    assert story.stop_stage == "terminating"


def test_stopping_a_run_that_has_ended_changes_nothing(lab: Lab) -> None:
    run_id = lab.start("train")
    lab.wait(run_id, "finished")
    lab.runs.stop(run_id)
    assert lab.runs.story(run_id).state == "finished"
    assert not lab.runs.folder(run_id).stop.exists()


def test_an_output_folder_with_files_in_it_is_refused_and_left_alone(
    lab: Lab, tmp_path: Path
) -> None:
    taken = tmp_path / "mine"
    taken.mkdir()
    (taken / "thesis.txt").write_text("years")
    config = lab.config.changed(output__folder=str(taken))
    with pytest.raises(OutputNotEmpty) as caught:
        lab.runs.submit(config)
    assert lab.runs.list() == []
    better = remedies.remedy(caught.value.code(), config)
    assert better
    lab.runs.submit(better)
    assert (taken / "thesis.txt").read_text() == "years"


def test_two_queued_runs_cannot_claim_the_same_output_folder(lab: Lab, tmp_path: Path) -> None:
    config = lab.config.changed(output__folder=str(tmp_path / "new"))
    lab.runs.submit(config)
    with pytest.raises(OutputNotEmpty):
        lab.runs.submit(config)


def test_a_missing_data_file_is_named_before_anything_is_queued(lab: Lab) -> None:
    with pytest.raises(FileMissing) as caught:
        lab.runs.submit(lab.config.changed(data__datasets=("/no/such.jsonl",)))
    assert caught.value.path == "/no/such.jsonl"
    assert lab.runs.list() == []


def test_a_dataset_of_a_llama_factory_list_is_accepted(lab: Lab, tmp_path: Path) -> None:
    rows = [{"instruction": f"Question {i}", "output": f"Answer {i}"} for i in range(8)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    listed = tmp_path / "dataset_info.json"
    listed.write_text(json.dumps({"mine": {"file_name": "rows.json"}}))
    run_id = lab.runs.submit(lab.config.changed(data__datasets=(f"{listed}#mine",)))
    assert lab.runs.config(run_id).data.datasets == (f"{listed}#mine",)
    with pytest.raises(FileMissing):
        lab.runs.submit(lab.config.changed(data__datasets=(f"{listed}#other",)))


def test_a_model_folder_cut_short_is_refused_at_once(lab: Lab) -> None:
    weights = Path(lab.config.model.base_model) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(ModelIncomplete):
        lab.runs.submit(lab.config)


def test_a_run_that_would_fill_the_disk_is_refused_with_the_space_it_needs(lab: Lab) -> None:
    header = {"w.weight": {"dtype": "F32", "shape": [10**9, 10**6], "data_offsets": [0, 0]}}
    text = json.dumps(header).encode()
    model = Path(lab.config.model.base_model) / "model.safetensors"
    model.write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(DiskFull) as caught:
        lab.runs.submit(lab.config.changed(model__method="full"))
    assert caught.value.need_gb > caught.value.free_gb


def test_space_grows_with_checkpoints_kept_and_with_what_is_trained(lab: Lab) -> None:
    model = Path(lab.config.model.base_model)
    full = lab.config.changed(model__method="full")
    one = submission.needed_gb(full.changed(monitor__save_limit=1), model)
    assert submission.needed_gb(full.changed(monitor__save_limit=9), model) > one
    small = lab.config.changed(lora__rank=1, monitor__save_limit=1)
    assert submission.needed_gb(small, model) < one


def test_relative_paths_mean_what_they_meant_where_the_run_was_submitted(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = lab.config.changed(
        model__base_model="model", data__datasets=("rows.jsonl",), output__folder="result"
    )
    asked = lab.runs.config(lab.runs.submit(config))
    assert asked.model.base_model == lab.config.model.base_model
    assert asked.data.datasets == lab.config.data.datasets
    assert asked.output.folder == str(tmp_path / "result")


def test_only_whole_checkpoints_are_offered_newest_first(lab: Lab) -> None:
    run_id = lab.runs.submit(lab.config)
    for step in (10, 20, 30):
        checkpoint(lab, run_id, step)
    folder = lab.runs.folder(run_id).checkpoints
    (folder / "checkpoint-30" / "optimizer.pt").write_bytes(b"cut")
    (folder / "checkpoint-40").mkdir()
    assert [path.name for path in lab.runs.resume_choices(run_id)] == [
        "checkpoint-20",
        "checkpoint-10",
    ]
    with pytest.raises(CheckpointInvalid):
        lab.runs.resume(run_id, folder / "checkpoint-30")


def test_a_resumed_run_goes_on_from_the_checkpoint_and_still_offers_the_earlier_ones(
    lab: Lab,
) -> None:
    first = lab.runs.submit(lab.config)
    at_ten, at_twenty = checkpoint(lab, first, 10), checkpoint(lab, first, 20)
    second = lab.runs.resume(first, at_ten, {"epochs": 9})
    order = lab.runs.folder(second).read()
    assert (order.resume_from, order.continues) == (str(at_ten), first)
    assert order.config.schedule.epochs == 9
    assert lab.runs.resume_choices(second) == [at_ten]
    assert lab.runs.resume_choices(first) == [at_twenty, at_ten]


def test_training_longer_must_be_longer(lab: Lab) -> None:
    run_id = lab.runs.submit(lab.config.changed(schedule__max_steps=20))
    at_twenty = checkpoint(lab, run_id, 20)
    with pytest.raises(NotLonger):
        lab.runs.resume(run_id, at_twenty, {"max_steps": 20})
    by_steps = lab.runs.resume(run_id, at_twenty, {"max_steps": 30})
    assert lab.runs.config(by_steps).schedule.max_steps == 30
    by_epochs = lab.runs.resume(run_id, at_twenty, {"epochs": 6})
    assert lab.runs.config(by_epochs).schedule.max_steps is None
    plain = lab.runs.submit(lab.config)
    with pytest.raises(NotLonger):
        lab.runs.resume(plain, checkpoint(lab, plain, 5), {"epochs": 2})


def test_a_resumed_run_never_writes_over_the_result_it_came_from(lab: Lab, tmp_path: Path) -> None:
    wanted = tmp_path / "result"
    run_id = lab.runs.submit(lab.config.changed(output__folder=str(wanted)))
    lab.dispatcher().tick()
    lab.wait(run_id, "finished")
    wanted.mkdir()
    (wanted / "adapter_model.safetensors").write_bytes(b"first")
    again = lab.runs.resume(run_id, checkpoint(lab, run_id, 20), {"epochs": 5})
    assert lab.runs.config(again).output.folder == f"{wanted}-2"
    assert lab.runs.start_over(run_id).output.folder == f"{wanted}-2"
    assert lab.runs.start_over(run_id).schedule == lab.config.schedule


def test_a_new_run_can_begin_with_what_an_earlier_one_learned(lab: Lab) -> None:
    run_id = lab.runs.submit(lab.config)
    with pytest.raises(FileMissing):
        lab.runs.continue_from(run_id)
    adapter = lab.runs.folder(run_id).adapter
    adapter.mkdir(parents=True)
    (adapter / "adapter_model.safetensors").write_bytes(b"x")
    assert lab.runs.continue_from(run_id).model.adapter == str(adapter)


def test_a_running_run_cannot_be_deleted_and_an_ended_one_leaves_nothing(lab: Lab) -> None:
    run_id = lab.running("sleeper")
    with pytest.raises(RunActive):
        lab.runs.delete(run_id)
    lab.runs.stop(run_id, now=True)
    lab.wait(run_id, "stopped")
    lab.runs.delete(run_id)
    assert list((lab.home / "runs").iterdir()) == []
    with pytest.raises(RunMissing):
        lab.runs.story(run_id)


@pytest.mark.parametrize("name", ["nothing", "../runs", "..", "", ".hidden", "/etc"])
def test_names_that_are_no_run_are_refused(lab: Lab, name: str) -> None:
    lab.runs.submit(lab.config)
    with pytest.raises(RunMissing):
        lab.runs.story(name)


def test_the_latest_run_is_the_one_that_runs(lab: Lab) -> None:
    assert lab.runs.latest() is None
    running = lab.running("sleeper")
    newer = lab.runs.submit(lab.config)
    assert lab.runs.latest() == running
    assert [summary.id for summary in lab.runs.list()] == [newer, running]
    assert [summary.state for summary in lab.runs.list()] == ["queued", "running"]


def test_the_report_tells_what_happened_and_keeps_secrets(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    run_id = lab.runs.submit(lab.config.changed(lora__rank=7))
    folder = lab.runs.folder(run_id)
    trace = "Traceback\n  step 7 is no number"
    failed = {"kind": "failed", "code": "diverged", "values": {"step": 7}, "detail": trace}
    write_events(folder, failed)
    records.write(folder.exit, {"returncode": 1})
    folder.log.write_text(
        "GET https://me:pw12345@hub/x\nAuthorization: Bearer abc.def\n"
        '{"api_key": "hunter22"} with hf_abcdefghijklmnop\nboom\n' + trace
    )
    report = lab.runs.report(run_id)
    for secret in ("abcdefghijklmnop", "hunter22", "pw12345", "abc.def", str(tmp_path)):
        assert secret not in report
    for fact in ("diverged", "boom", "rank: 7", "python"):
        assert fact in report
    assert report.count("step 7 is no number") == 1


def test_words_about_tokens_are_not_taken_for_secrets() -> None:
    line = "Unexpected token in line 3; pad_token_id: 0, tokens: 512, max_new_tokens=64"
    assert without_secrets(line) == line


def test_the_log_tail_shows_progress_bars_as_they_stood_last(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"a\n" * 99_999 + b"\x1b[32m 10%\r 90%\x1b[0m\r\n\xff end\n\n")
    assert tail(log, 3) == ["a", " 90%", "\ufffd end"]
    assert tail(tmp_path / "none.txt") == []
