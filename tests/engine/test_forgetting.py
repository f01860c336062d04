"""The forgetting meter in whole runs of a tiny model: its figures, its cost to the run, its end."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerState

from easytune import checkpoints, forgetting
from easytune.config import TrainConfig
from easytune.engine import arguments, hardware, worker
from easytune.engine.forgetting_watch import Watch
from easytune.errors import OptionUnsupported
from easytune.events import Evaluated, Forgetting, Step
from easytune.job import Job, create
from tests.engine import tiny
from tests.engine.ran import Ran

Train = Callable[..., Ran]
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]


@pytest.fixture(scope="module")
def probe(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five short texts that the tiny model knows by heart, one of them an answer; an empty one."""
    model = AutoModelForCausalLM.from_pretrained(str(model_folder))
    tokenizer = AutoTokenizer.from_pretrained(str(model_folder))
    texts = [_likely_text(model, tokenizer, letter) for letter in LETTERS[:5]]
    lines: list[dict[str, Any]] = [
        {"id": f"text {i}", "category": "letters", "text": text} for i, text in enumerate(texts[1:])
    ]
    for text in texts[:1]:
        turns = [{"role": "user", "content": "go"}, {"role": "assistant", "content": text}]
        lines.append({"id": text, "category": "answers", "messages": turns})
    path = tmp_path_factory.mktemp("probe") / "probe.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in [*lines, {"text": ""}]))
    return path


def _likely_text(model: Any, tokenizer: Any, text: str) -> str:
    letters = torch.tensor(tokenizer.convert_tokens_to_ids(LETTERS))
    for _ in range(7):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([tokenizer(text)["input_ids"]])).logits[0, -1]
        text += LETTERS[int(logits[letters].argmax())]
    return text


def settings(model_folder: Path, probe: Path, folder: Path) -> TrainConfig:
    """A run long enough to be measured, with everything in it that chance decides."""
    return TrainConfig().changed(
        model__base_model=str(model_folder),
        data__datasets=(str(tiny.save_rows(folder / "rows.jsonl", count=48)),),
        lora__rank=4,
        lora__dropout=0.1,
        optim__learning_rate=0.02,
        optim__neftune_alpha=5.0,
        schedule__batch_size=4,
        schedule__gradient_accumulation=2,
        schedule__max_steps=48,
        monitor__probe=str(probe),
        monitor__save_steps=12,
        monitor__save_limit=20,
        monitor__sample_tokens=0,
    )


@pytest.fixture
def config(model_folder: Path, probe: Path, tmp_path: Path) -> TrainConfig:
    return settings(model_folder, probe, tmp_path)


@pytest.fixture(scope="module")
def ran(model_folder: Path, probe: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One run that several tests look at."""
    home = tmp_path_factory.mktemp("home")
    folder = create(home / "runs", Job(config=settings(model_folder, probe, home)))
    return Ran(folder, worker.run(folder.path))


def kept(ran: Ran, name: str) -> dict[str, Any]:
    return json.loads((ran.folder.out / "forgetting" / name).read_text())


def recomputed(ran: Ran) -> dict[str, tuple[float, float, float]]:
    """Difference, KL and agreement of each sequence by plain transformers and PEFT."""
    settings = json.loads((ran.folder.adapter / "adapter_config.json").read_text())
    base = AutoModelForCausalLM.from_pretrained(settings["base_model_name_or_path"])
    model = PeftModel.from_pretrained(base, str(ran.folder.adapter)).eval()
    return {one["id"]: _figures(model, one) for one in kept(ran, "base.json")["sequences"]}


def _figures(model: PeftModel, one: dict[str, Any]) -> tuple[float, float, float]:
    ids, scored = torch.tensor([one["input_ids"]]), torch.tensor(one["scored"])
    with torch.no_grad(), model.disable_adapter():
        p = model(input_ids=ids).logits[0, scored - 1].log_softmax(-1)
    with torch.no_grad():
        q = model(input_ids=ids).logits[0, scored - 1].log_softmax(-1)
    wanted = ids[0, scored, None]
    difference = (p.gather(1, wanted) - q.gather(1, wanted)).mean()
    kl = (p.exp() * (p - q)).sum(-1).mean()
    agreement = (p.argmax(-1) == q.argmax(-1)).float().mean()
    return float(difference), float(kl), float(agreement)


def test_scores_are_those_of_plain_transformers(ran: Ran) -> None:
    first, last = ran.of(Forgetting)[0], ran.of(Forgetting)[-1]
    assert (first.step, first.score, first.agreement, first.sequences) == (0, 0, 1, 5)
    wanted = recomputed(ran)
    for one in kept(ran, "latest.json")["per_sequence"]:
        got = (one["difference"], one["kl"], one["agreement"])
        assert got == pytest.approx(wanted[one["id"]], abs=2e-4)
    assert last.score == pytest.approx(np.mean([each[0] for each in wanted.values()]), abs=2e-4)
    assert last.score > 0.3
    assert last.low < last.score < last.high
    counts = {name: each.sequences for name, each in last.categories.items()}
    assert counts == {"letters": 4, "answers": 1}


def test_a_finished_run_tells_what_it_forgot(ran: Ran) -> None:
    last = ran.of(Forgetting)[-1]
    assert ran.end.metrics["forgetting"] == last.score
    assert ran.end.metrics["retention"] == forgetting.retention(last.score)
    card = (ran.folder.adapter / "README.md").read_text()
    assert f"{last.score:.3f} nats per token" in card
    assert f"| answers | {last.categories['answers'].score:.3f} |" in card
    assert {"forgetting_severe", "forgetting_rows_unusable"} <= ran.notices()


def test_measuring_changes_nothing_of_what_is_learned(
    ran: Ran, train: Train, config: TrainConfig
) -> None:
    without = train(config.changed(monitor__forgetting=False))
    assert without.of(Forgetting) == []
    assert "not measured (switched off)" in (without.folder.adapter / "README.md").read_text()
    wanted = without.weights()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in ran.weights().items())
    assert [s.loss for s in ran.of(Step)] == [s.loss for s in without.of(Step)]


def test_a_resumed_run_goes_on_with_the_same_base(
    ran: Ran, train: Train, config: TrainConfig
) -> None:
    resumed = train(config, resume_from=str(ran.folder.checkpoints / "checkpoint-12"))
    assert resumed.of(Forgetting)[0].step > 12
    assert kept(resumed, "base.json") == kept(ran, "base.json")
    assert resumed.of(Forgetting)[-1].score == pytest.approx(ran.of(Forgetting)[-1].score)


def test_an_adapter_that_goes_on_is_measured_against_the_base_below_it(
    ran: Ran, train: Train, config: TrainConfig
) -> None:
    again = train(
        config.changed(
            model__adapter=str(ran.folder.adapter),
            optim__learning_rate=1e-6,
        )
    )
    start, end = again.of(Forgetting)[0], again.of(Forgetting)[-1]
    assert start.step == 0
    assert start.score == pytest.approx(ran.of(Forgetting)[-1].score, abs=1e-4)
    assert end.score == pytest.approx(start.score, abs=0.02)


@pytest.mark.parametrize(
    "way", [{"lora__init": "pissa"}, {"model__method": "full", "data__held_out_share": 0}]
)
def test_other_ways_of_training_begin_at_zero_and_are_measured(
    train: Train, config: TrainConfig, way: dict[str, Any]
) -> None:
    done = train(config.changed(**way))
    first, last = done.of(Forgetting)[0], done.of(Forgetting)[-1]
    assert abs(first.score) < 1e-4
    assert first.kl < 1e-4
    assert done.end.metrics["forgetting"] == last.score > 0.01
    assert bool(done.of(Evaluated)) == ("lora__init" in way)


def test_a_run_ends_above_its_limit_with_weights_within_it(
    train: Train, config: TrainConfig
) -> None:
    done = train(
        config.changed(
            monitor__forgetting_limit=0.25,
            monitor__eval_steps=4,
            monitor__save_steps=1000,
            monitor__save_limit=1,
            schedule__max_steps=400,
            schedule__scheduler="constant",
            schedule__gradient_accumulation=1,
            optim__learning_rate=2e-3,
        )
    )
    assert done.end.kind == "finished"
    assert done.end.step < 400
    assert {"forgetting_limit", "forgetting_returned"} <= done.notices()
    over, final = done.of(Forgetting)[-2:]
    card = (done.folder.adapter / "README.md").read_text()
    assert f"| Weights | those of step {final.step} |" in card
    assert over.score > 0.25 >= final.score == done.end.metrics["forgetting"]
    folders = checkpoints.valid(done.folder.checkpoints)
    assert final.step in [checkpoints.step_of(folder) for folder in folders]
    differences = [difference for difference, _, _ in recomputed(done).values()]
    assert np.mean(differences) == pytest.approx(final.score, abs=2e-4)


def test_steps_that_were_passed_over_are_measured_before_the_run_gives_up_its_limit() -> None:
    def passed_over(*scores: tuple[int, float], limit: float = 0.2) -> list[int]:
        monitor = TrainConfig().changed(monitor__forgetting_limit=limit).monitor
        state = TrainerState()
        state.log_history = [{"step": step, "forgetting": score} for step, score in scores]
        no_run: Any = SimpleNamespace(now=time.monotonic)
        watch = Watch(no_run, no_run, no_run, monitor, no_run)
        return watch.passed_over(state, [10, 20, 30])

    assert passed_over((0, 0.0), (30, 0.9)) == [20, 10]
    assert passed_over((0, 0.0), (30, 0.9), (20, 0.5)) == [10]
    assert passed_over((0, 0.0), (30, 0.9), (10, 0.1)) == []
    assert passed_over((0, 0.0), (30, 0.9), limit=1.0) == []


def test_a_run_too_short_for_five_percent_says_so(train: Train, config: TrainConfig) -> None:
    done = train(config.changed(schedule__max_steps=2, monitor__probe="demo/probe"))
    assert done.end.kind == "finished"
    assert "forgetting_too_short" in done.notices()
    assert done.of(Forgetting) == []
    assert "forgetting" not in done.end.metrics
    assert "| Forgetting | not measured |" in (done.folder.adapter / "README.md").read_text()


def test_a_limit_without_the_meter_is_refused() -> None:
    config = TrainConfig().changed(monitor__forgetting=False, monitor__forgetting_limit=0.2)
    with pytest.raises(OptionUnsupported) as raised:
        arguments.check(config, hardware.device("cpu"))
    assert raised.value.option == "monitor.forgetting_limit"
