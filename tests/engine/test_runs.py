"""Whole runs on a tiny model: what they report, what they leave, how they end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from easytune import checkpoints, events
from easytune.config import TrainConfig
from easytune.events import Evaluated, Phase, Sampled, Started, Step
from easytune.job import Job, JobFolder, create
from tests.engine import tiny
from tests.engine.ran import Ran
from tests.patience import PATIENCE_S

Train = Callable[..., Ran]


def test_a_run_reports_its_curve_its_samples_and_one_end(train: Train, config: TrainConfig) -> None:
    ran = train(config.changed(schedule__max_steps=6))
    assert ran.code == 0
    assert ran.end.kind == "finished"
    assert isinstance(ran.story[0], Phase)
    assert [s.step for s in ran.of(Step)] == [1, 2, 3, 4, 5, 6]
    assert [s.total_steps for s in ran.of(Started)] == [6]
    assert (ran.of(Evaluated)[0].step, ran.of(Evaluated)[-1].step) == (0, 6)
    assert ran.of(Sampled)[0].step == 0
    assert ran.of(Sampled)[-1].step == 6
    assert all(s.tokens_per_second > 0 and s.memory_gb > 0 for s in ran.of(Step))
    assert sum(event.kind in ("finished", "stopped", "failed") for event in ran.story) == 1


def test_what_there_is_to_beat_is_measured_before_the_first_step(
    train: Train, config: TrainConfig
) -> None:
    ran = train(config.changed(schedule__max_steps=2, optim__learning_rate=1e-12))
    before, *after = ran.of(Evaluated)
    assert before.step == 0
    assert before.loss == pytest.approx(after[-1].loss, rel=1e-5)
    # It is nothing to return to.
    assert not before.best
    assert ran.end.metrics["best_step"] > 0


def test_the_adapter_loads_in_bare_peft_and_lowers_the_loss(
    train: Train, config: TrainConfig, model_folder: Path
) -> None:
    ran = train(config.changed(schedule__epochs=4, optim__learning_rate=0.02))
    settings = json.loads((ran.folder.adapter / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(model_folder)
    base = AutoModelForCausalLM.from_pretrained(settings["base_model_name_or_path"])
    model = PeftModel.from_pretrained(base, str(ran.folder.adapter)).eval()
    tokenizer = AutoTokenizer.from_pretrained(str(ran.folder.adapter))
    text = tokenizer.apply_chat_template(
        [
            {"role": "user", "content": "colour 1?"},
            {"role": "assistant", "content": "it is green "},
        ],
        return_tensors="pt",
    )
    ids = text["input_ids"]
    with torch.no_grad():
        after = model(input_ids=ids, labels=ids).loss
        with model.disable_adapter():
            before = model(input_ids=ids, labels=ids).loss
    assert after < before - 0.3
    assert ran.of(Evaluated)[-1].loss < ran.of(Evaluated)[0].loss


def test_the_run_card_holds_what_is_needed_to_do_it_again(
    train: Train, config: TrainConfig, tmp_path: Path
) -> None:
    target = tmp_path / "wanted"
    ran = train(config.changed(output__folder=str(target), output__name="My run"))
    names = {file.name for file in target.iterdir()}
    assert {"README.md", "loss.png", "easytune.yaml", "metrics.json", "tokenizer.json"} <= names
    card = (target / "README.md").read_text()
    assert "# My run" in card
    assert (target / "easytune.yaml").read_text().strip() in card
    assert json.loads((target / "metrics.json").read_text())["step"] == ran.end.step
    assert (target / "loss.png").read_bytes().startswith(b"\x89PNG")


def exacting(config: TrainConfig) -> TrainConfig:
    """Everything that a resume could get wrong: dropout, accumulation, packing, a cut epoch."""
    return config.changed(
        lora__dropout=0.2,
        optim__neftune_alpha=5.0,
        schedule__batch_size=2,
        schedule__gradient_accumulation=2,
        schedule__epochs=3,
        schedule__warmup=0.1,
    )


def assert_same(got: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[name], wanted[name]) for name in wanted)


def test_a_resumed_run_ends_in_the_same_weights(train: Train, config: TrainConfig) -> None:
    """An epoch has 6 steps, so step 6 is the border between two."""
    wanted = exacting(config).changed(monitor__save_steps=2, monitor__save_limit=20)
    whole = train(wanted)
    for step in (4, 6, 8):
        checkpoint = whole.folder.checkpoints / f"checkpoint-{step}"
        resumed = train(wanted, resume_from=str(checkpoint), continues=whole.folder.id)
        assert resumed.of(Started)[0].first_step == step
        assert resumed.of(Step)[0].step > step
        assert resumed.end.step == whole.end.step
        assert_same(resumed.weights(), whole.weights())
        assert resumed.of(Evaluated)[-1].loss == whole.of(Evaluated)[-1].loss


def test_stop_finishes_the_step_saves_and_can_be_gone_on_from_exactly(
    train: Train, config: TrainConfig, tmp_path: Path
) -> None:
    endless = exacting(config).changed(
        schedule__scheduler="constant",
        schedule__warmup=0,
        schedule__max_steps=5000,
        monitor__eval_steps=5000,
        monitor__save_steps=5000,
    )
    threading.Thread(target=stop_after, args=(tmp_path / "home" / "runs", 7), daemon=True).start()
    stopped = train(endless)
    assert stopped.code == 0
    assert stopped.end.kind == "stopped"
    assert 7 <= stopped.end.step < 5000
    assert (stopped.folder.adapter / "adapter_model.safetensors").is_file()
    checkpoint = checkpoints.valid(stopped.folder.checkpoints)[0]
    assert checkpoints.step_of(checkpoint) == stopped.end.step
    longer = endless.changed(schedule__max_steps=stopped.end.step + 4)
    resumed = train(longer, resume_from=str(checkpoint))
    assert_same(resumed.weights(), train(longer).weights())


def stop_after(runs: Path, step: int) -> None:
    """Ask the only run to stop once it has reported `step`."""
    while True:
        for path in runs.glob("[!.]*"):
            folder = JobFolder(path)
            done = [e.step for e in events.read(folder.events)[0] if isinstance(e, Step)]
            if done and done[-1] >= step:
                folder.stop.touch()
                return
        time.sleep(0.01)


def test_stop_before_training_ends_without_a_result(
    train: Train, config: TrainConfig, tmp_path: Path
) -> None:
    from easytune.engine import worker

    folder = create(tmp_path / "home" / "runs", Job(config=config))
    folder.stop.touch()
    assert worker.run(folder.path) == 0
    assert Ran(folder, 0).end.kind == "stopped"


def test_divergence_fails_and_keeps_a_finite_checkpoint(
    train: Train, config: TrainConfig, tmp_path: Path
) -> None:
    """One row has a letter whose embedding is infinite, as after a run gone wrong."""
    folder = tiny.save_folder(tmp_path / "poisoned")
    letter = AutoTokenizer.from_pretrained(str(folder)).convert_tokens_to_ids("Z")
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"][letter] = torch.inf
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    rows = tiny.save_rows(tmp_path / "rows.jsonl", count=24)
    rows.write_text(rows.read_text().replace("colour 3?", "colour Z?"))
    ran = train(
        config.changed(
            model__base_model=str(folder),
            data__held_out_share=0,
            schedule__max_steps=6,
            monitor__save_steps=1,
        )
    )
    assert ran.code == 1
    assert ran.end.code == "diverged"
    reported = [step.step for step in ran.of(Step)]
    assert 1 <= len(reported) < 6
    assert ran.end.values["step"] == reported[-1] + 1
    checkpoint = checkpoints.valid(ran.folder.checkpoints)[0]
    assert checkpoints.step_of(checkpoint) == reported[-1]
    saved = load_file(checkpoint / "adapter_model.safetensors")
    assert all(bool(tensor.isfinite().all()) for tensor in saved.values())


def test_accumulation_equals_one_large_batch(train: Train, config: TrainConfig) -> None:
    same = config.changed(schedule__max_steps=3, data__held_out_share=0, optim__optimizer="sgd")
    large = train(same.changed(schedule__batch_size=8))
    small = train(same.changed(schedule__batch_size=2, schedule__gradient_accumulation=4))
    for name, tensor in large.weights().items():
        torch.testing.assert_close(small.weights()[name], tensor, rtol=1e-4, atol=1e-7)
    assert [s.loss for s in small.of(Step)] == pytest.approx(
        [s.loss for s in large.of(Step)], rel=1e-5
    )


def test_packing_off_trains_the_same(train: Train, config: TrainConfig) -> None:
    same = config.changed(schedule__max_steps=3, data__held_out_share=0)
    packed, padded = train(same), train(same.changed(data__packing=False))
    assert [s.loss for s in padded.of(Step)] == pytest.approx(
        [s.loss for s in packed.of(Step)], rel=1e-5
    )


def test_early_stopping_ends_with_the_best_weights(train: Train, config: TrainConfig) -> None:
    ran = train(
        config.changed(
            optim__learning_rate=0.5,
            schedule__max_steps=200,
            schedule__scheduler="constant",
            monitor__eval_steps=2,
            monitor__early_stopping=3,
        )
    )
    assert ran.end.kind == "finished"
    assert ran.end.step < 200
    assert {"early_stopping", "best_kept"} <= ran.notices()
    best = min(ran.of(Evaluated), key=lambda event: event.loss)
    assert ran.end.metrics["best_step"] == best.step
    saved = load_file(
        ran.folder.checkpoints / f"checkpoint-{best.step}" / "adapter_model.safetensors"
    )
    assert_same(ran.weights(), saved)


def test_only_the_newest_checkpoints_and_the_best_are_kept(
    train: Train, config: TrainConfig
) -> None:
    ran = train(
        config.changed(
            schedule__max_steps=8,
            monitor__save_steps=1,
            monitor__save_limit=2,
            monitor__eval_steps=8,
        )
    )
    kept = [checkpoints.step_of(path) for path in checkpoints.valid(ran.folder.checkpoints)]
    assert kept == [8, 7]


def test_a_damaged_checkpoint_is_refused(train: Train, config: TrainConfig) -> None:
    first = train(config)
    checkpoint = checkpoints.valid(first.folder.checkpoints)[0]
    (checkpoint / "optimizer.pt").write_bytes(b"half")
    again = train(config, resume_from=str(checkpoint))
    assert again.code == 1
    assert again.end.code == "checkpoint_invalid"


def test_a_worker_process_ends_gracefully_on_sigterm(
    config: TrainConfig, tmp_path: Path, child_environment: dict[str, str]
) -> None:
    endless = config.changed(schedule__max_steps=100_000, monitor__eval_steps=100_000)
    folder = create(tmp_path / "home" / "runs", Job(config=endless))
    with folder.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "easytune.engine.worker", str(folder.path)],
            env=child_environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    wait_for(folder, Step)
    wait_for(folder, events.Resources)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    story, _ = events.read(folder.events)
    assert story[-1].kind == "stopped"
    assert (folder.adapter / "adapter_model.safetensors").is_file()
    assert "Traceback" not in folder.log.read_text()


def wait_for(folder: JobFolder, kind: type) -> events.Event:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = [event for event in events.read(folder.events)[0] if isinstance(event, kind)]
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"no {kind.__name__}: {folder.log.read_text()}")


def test_tiny_models_of_the_tests_answer_in_text(model_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(str(model_folder))
    assert tokenizer.decode(tokenizer("hello world")["input_ids"]) == "hello world"
    assert len(tokenizer) <= tiny.VOCABULARY
