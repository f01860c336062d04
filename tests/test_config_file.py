import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from easytune import config_file, job, paths
from easytune.cli import arguments
from easytune.config import TrainConfig
from easytune.errors import ConfigInvalid, ConfigUnreadable, FileMissing

BUNDLED = sorted(paths.TRAIN_CONFIGS.glob("*.yaml"))
UNUSUAL = TrainConfig().changed(
    model__base_model="it's a model",
    model__method="qlora",
    data__datasets=("my rows.jsonl", "-dash.jsonl", "数据.csv"),
    data__weights=(1, 0.5, 2),
    data__columns={"prompt": "the question", "response": "on"},
    lora__use_dora=True,
    optim__learning_rate=1e-5,
    memory__gradient_checkpointing="off",
    memory__quantization_bits=8,
    monitor__keep_best=False,
    monitor__sample_prompts=("Why $HOME & `ls`?", "Who?\nYou!"),
    output__training_args={"lr_scheduler_kwargs": {"min_lr": 1e-6}, "dataloader_drop_last": True},
)


@pytest.mark.parametrize("file", BUNDLED, ids=lambda file: file.stem)
def test_every_bundled_config_loads_without_notices(file: Path) -> None:
    assert config_file.load_file(file).notices == ()


def test_the_demo_config_comes_with_the_program() -> None:
    assert paths.TRAIN_CONFIGS / "demo.yaml" in BUNDLED


@pytest.mark.parametrize("config", [TrainConfig(), UNUSUAL], ids=["default", "unusual"])
def test_a_config_is_the_same_after_saving_and_loading(config: TrainConfig) -> None:
    loaded = config_file.load(config_file.dump(config))

    assert loaded.config == config
    assert loaded.notices == ()


def test_a_runs_job_file_opens_as_its_config(tmp_path: Path) -> None:
    folder = job.create(tmp_path, job.Job(config=UNUSUAL))

    assert config_file.load_file(folder.job).config == UNUSUAL


def test_an_unknown_key_is_named_with_what_was_probably_meant() -> None:
    text = "lora: {rnk: 8, alpha: 64}\nlearning_rate: 1e-4\nxyzzy: 1\n"

    loaded = config_file.load(text)

    assert loaded.config == TrainConfig().changed(lora__alpha=64)
    first, second, third = loaded.sentences()
    assert "lora.rnk" in first
    assert "lora.rank" in first
    assert "optim.learning_rate" in second
    assert "xyzzy" in third


def test_a_key_given_twice_is_named() -> None:
    loaded = config_file.load("lora:\n  rank: 8\n  rank: 4\n")

    assert loaded.config.lora.rank == 4
    assert "rank" in loaded.sentences()[0]


def test_all_broken_rules_are_reported_at_once() -> None:
    text = "lora: {rank: 0, alpha: x}\nschedule: {epochs: -1}\nmodel: 3\n"

    with pytest.raises(ConfigInvalid) as caught:
        config_file.load(text)

    options = [line.partition(":")[0] for line in caught.value.problems.splitlines()]
    assert options == ["model", "lora.rank", "lora.alpha", "schedule.epochs"]


def test_words_and_numbers_mean_what_people_write() -> None:
    text = (
        "memory: {gradient_checkpointing: on}\noptim: {learning_rate: 1e-4}\n"
        "output: {name: 2026-11-21}\ndata: {packing: no}\n"
    )

    config = config_file.load(text).config

    assert config.memory.gradient_checkpointing == "on"
    assert config.optim.learning_rate == 1e-4
    assert config.output.name == "2026-11-21"
    assert config.data.packing is False


ALIAS_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(8)
)
UNUSABLE = {
    "empty": "",
    "only a comment": "# nothing\n",
    "a list": "- 1\n- 2\n",
    "cut off": "lora: {rank: [",
    "binary": "\0\1\2",
    "nested": "[" * 5000,
    "alias bomb": ALIAS_BOMB,
    "endless": "a: &a {b: *a}",
    "huge": "a: " + "x" * 1_000_001,
    "two documents": "a: 1\n---\nb: 2\n",
    "a tag": "a: !!python/object/apply:os.system [ls]",
    "a huge number": "lora: {rank: 1" + "0" * 5000 + "}",
}


@pytest.mark.parametrize("name", UNUSABLE)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_text_that_is_no_config_is_refused_with_a_reason(name: str, lang: str) -> None:
    with pytest.raises(ConfigUnreadable) as caught:
        config_file.load(UNUSABLE[name], lang)

    assert "{" not in caught.value.reason.replace("{rank: 16}", "")
    assert "config." not in caught.value.reason


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", "模型: 1".encode("gb18030"), b"\xd0" * 99])
def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.yaml").write_bytes(content)

    with pytest.raises(ConfigUnreadable):
        config_file.load_file(tmp_path / "run.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        config_file.load_file(tmp_path / "gone.yaml")


def test_a_dataset_beside_the_file_is_found_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").touch()
    (tmp_path / "run.yaml").write_text("data: {datasets: [rows.jsonl, demo/style, gone.csv]}")

    datasets = config_file.load_file(tmp_path / "run.yaml").config.data.datasets

    assert datasets == (str(tmp_path / "rows.jsonl"), "demo/style", "gone.csv")


def test_the_command_says_the_same_as_the_config_when_pasted_into_a_shell() -> None:
    show = f"{shlex.quote(sys.executable)} -c 'import json, sys; print(json.dumps(sys.argv[1:]))'"
    pasted = config_file.command(UNUSUAL).replace("easytune", show, 1)

    shell = subprocess.run(["bash", "-c", pasted], capture_output=True, text=True, check=True)

    args = arguments.parse(json.loads(shell.stdout), "en")
    assert arguments.overlaid(TrainConfig(), args, "en") == UNUSUAL


def test_a_config_at_its_defaults_needs_no_flags() -> None:
    assert config_file.command(TrainConfig()) == "easytune train"


def test_powershell_gets_its_own_quotes() -> None:
    config = TrainConfig().changed(data__datasets=("it's ‘here’.jsonl",))

    command = config_file.command(config, "powershell")

    assert command == "easytune train '--data.datasets' 'it''s ‘‘here’’.jsonl'"


def test_a_file_is_run_by_its_name() -> None:
    assert config_file.command(Path("my runs/a.yaml")) == "easytune train 'my runs/a.yaml'"
