"""One-click fixes change what should be changed, and end where nothing is left to change."""

from pathlib import Path

import pytest

from easytune.config import TrainConfig
from easytune.remedies import REMEDIES, against_forgetting, changes, remedy

DEFAULT = TrainConfig()


def test_running_out_of_memory_halves_the_batch_and_keeps_its_effective_size() -> None:
    mended = remedy("out_of_memory", DEFAULT)
    assert mended
    assert mended.effective_batch_size == DEFAULT.effective_batch_size
    assert changes(DEFAULT, mended) == [
        ("schedule.batch_size", 8, 4),
        ("schedule.gradient_accumulation", 1, 2),
        ("memory.gradient_checkpointing", "auto", "on"),
    ]


@pytest.mark.parametrize("code", ["out_of_memory", "killed_by_system"])
def test_lighter_and_lighter_comes_to_an_end(code: str) -> None:
    config, rounds = DEFAULT, 0
    while (lighter := remedy(code, config)) is not None:
        config, rounds = lighter, rounds + 1
        assert rounds < 20
    assert (config.schedule.batch_size, config.data.max_length) == (1, 128)


def test_a_diverged_run_gets_a_lower_rate_and_clipping() -> None:
    wild = DEFAULT.changed(
        optim__learning_rate=0.1, optim__max_grad_norm=0.0, memory__precision="fp16"
    )
    calm = remedy("diverged", wild)
    assert calm
    assert calm.optim.learning_rate == pytest.approx(0.02)
    assert calm.optim.max_grad_norm == 1.0
    assert calm.memory.precision == "auto"


def test_an_occupied_folder_is_left_for_the_next_free_one(tmp_path: Path) -> None:
    (tmp_path / "out-2").mkdir()
    config = DEFAULT.changed(output__folder=str(tmp_path / "out"))
    mended = remedy("output_not_empty", config)
    assert mended
    assert mended.output.folder == str(tmp_path / "out-3")


def test_an_option_that_cannot_work_goes_back_to_its_default() -> None:
    config = DEFAULT.changed(memory__liger_kernel=True)
    facts = {"option": "memory.liger_kernel", "package": "liger-kernel"}
    assert remedy("dependency_missing", config, facts) == DEFAULT
    assert remedy("dependency_missing", config, {"option": "something else"}) is None
    # Some are told by the value that was chosen.
    split = DEFAULT.changed(memory__processes=2, memory__sharding="zero2")
    mended = remedy("option_unsupported", split, {"option": "zero2", "reason": ""})
    assert mended == DEFAULT.changed(memory__processes=2)


def test_longer_rows_are_tried_before_learning_from_prompts() -> None:
    config, tried = DEFAULT.changed(data__max_length=64), []
    while (mended := remedy("nothing_to_train", config)) is not None:
        tried += [path for path, _, _ in changes(config, mended)]
        config = mended
    assert tried == ["data.max_length"] * 3 + ["data.train_on"]


def test_other_failures_have_their_own_fix() -> None:
    config = DEFAULT.changed(
        lora__target_modules=("no_such",), data__chat_template="broken.jinja", data__max_rows=3
    )
    touched = {
        code: [path for path, _, _ in changes(config, mended)]
        for code in ("disk_full", "target_module_missing", "template_failed", "too_few_rows")
        if (mended := remedy(code, config))
    }
    assert touched == {
        "disk_full": ["monitor.save_limit"],
        "target_module_missing": ["lora.target_modules"],
        "template_failed": ["data.chat_template"],
        "too_few_rows": ["data.max_rows", "data.held_out_share"],
    }


def test_no_fix_is_offered_that_changes_nothing() -> None:
    assert remedy("model_gated", DEFAULT) is None
    plain = DEFAULT.changed(monitor__save_limit=1)
    for code in ("output_not_empty", "target_module_missing", "template_failed", "disk_full"):
        assert code in REMEDIES
        assert remedy(code, plain) is None


def test_forgetting_is_fought_with_replay_a_lower_rate_or_less_strength() -> None:
    tried = against_forgetting(DEFAULT)
    assert {name: changes(DEFAULT, config) for name, config in tried.items()} == {
        "replay": [("data.replay_share", 0.0, 0.25)],
        "rate": [("optim.learning_rate", 2e-4, 6.7e-05)],
        "strength": [("lora.alpha", 32, 16)],
    }


def test_a_remedy_against_forgetting_that_cannot_help_is_not_offered() -> None:
    whole = DEFAULT.changed(model__method="full", data__replay_share=0.25)
    assert against_forgetting(whole)["replay"].data.replay_share == 0.5
    assert "strength" not in against_forgetting(whole)
    # An adapter that goes on learning keeps the strength it began with.
    assert "strength" not in against_forgetting(DEFAULT.changed(model__adapter="somewhere"))
    least = DEFAULT.changed(data__replay_share=0.5, optim__learning_rate=1e-6, lora__alpha=1)
    assert against_forgetting(least) == {}
