import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from easytune.cli import arguments, main
from easytune.cli.commands import COMMANDS
from easytune.cli.follow import clock
from easytune.config import TrainConfig, options
from easytune.services.runs import Runs
from tests.conftest import ROOT
from tests.patience import PATIENCE_S, eventually

DEMO = "configs/train/demo.yaml"
SHORT = ["--schedule.max_steps", "2", "--monitor.sample_tokens", "0"]
ENDLESS = [
    "--schedule.max_steps", "100000", "--monitor.eval_steps", "100000",
    "--monitor.logging_steps", "1",
]  # fmt: skip


class Cli:
    """The command line in processes of their own, on the test's home."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment | {"LANG": "C.UTF-8"}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command and return its process."""
        return subprocess.Popen(
            [sys.executable, "-m", "easytune.cli", *words], cwd=ROOT, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. No command may ever answer with a traceback."""
        process = self.start(*words)
        stdout, stderr = process.communicate(timeout=240)
        assert "Traceback" not in stderr
        return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)


@pytest.fixture
def cli(child_environment: dict[str, str]) -> Cli:
    return Cli(child_environment)


def _parsed(*words: str) -> TrainConfig:
    return arguments.overlaid(TrainConfig(), arguments.parse(["train", *words], "en"), "en")


def test_a_run_ends_with_an_adapter_in_the_output_folder(
    cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "adapter"

    done = cli.run("train", DEMO, "--lora.rank", "4", "--output", str(out), *SHORT)

    assert done.returncode == 0, done.stderr
    assert (out / "adapter_model.safetensors").is_file()
    assert yaml.safe_load((out / "easytune.yaml").read_text())["lora"]["rank"] == 4
    assert "Finished" in done.stdout
    assert "2/2" in done.stderr

    assert main(["runs", "--lang", "en"]) == 0
    assert "finished" in capsys.readouterr().out
    assert main(["train", DEMO, "--output", str(out), *SHORT]) == 1
    assert str(out) in capsys.readouterr().err


def test_ctrl_c_stops_and_keeps_what_was_learned(cli: Cli, home: Path) -> None:
    process = cli.start("train", DEMO, *ENDLESS)
    run = _wait_until_stepping(Runs(home))

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 130
    assert Runs(home).story(run).state == "stopped"
    assert (Runs(home).folder(run).adapter / "adapter_model.safetensors").is_file()
    assert f"easytune resume {run}" in errors


def test_a_run_behind_another_waits_says_so_and_goes_on_when_its_terminal_is_closed(
    cli: Cli, home: Path
) -> None:
    first = cli.start("train", DEMO, *ENDLESS)
    running = _wait_until_stepping(Runs(home))
    second = cli.start("train", DEMO, *ENDLESS)
    eventually(lambda: Runs(home).list()[0].state == "queued")

    Runs(home).stop(running, now=True)
    first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 1
    waited = _wait_until_stepping(Runs(home))
    second.kill()
    _, errors = second.communicate()
    assert waited != running
    assert "number 1 in the queue" in errors

    step = Runs(home).story(waited).step
    eventually(lambda: Runs(home).story(waited).step > step)
    assert cli.run("stop").returncode == 0
    eventually(lambda: Runs(home).story(waited).state == "stopped")


def test_a_run_that_fails_says_why_and_exits_with_1(cli: Cli, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "Hi", "response": ""}\n' * 3)

    done = cli.run("train", DEMO, "--data.datasets", str(rows))

    assert done.returncode == 1
    assert "error." not in done.stderr
    assert "log.txt" in done.stderr


BAD_INPUT = [
    (["train", "gone.yaml"], 1, "gone.yaml"),
    (["train", "--data.datasets", "/gone/rows.jsonl"], 1, "/gone/rows.jsonl"),
    (["train", "--model.base_model", "/gone/model"], 1, "/gone/model"),
    (["train", "--lora.rank", "0"], 1, "lora.rank: should be at least 1"),
    (["train", "--lora.rank", "0", "--lang", "zh"], 1, "lora.rank: 应不小于 1"),
    (["train", "--output.training_args", "{a: ["], 1, "output.training_args"),
    (["train", "--lora.rnk", "3"], 2, "--lora.rank"),
    (["stop", "nothing"], 1, "nothing"),
    (["resume"], 1, "run"),
    (["dance"], 2, "dance"),
]


@pytest.mark.parametrize(("words", "status", "said"), BAD_INPUT)
def test_wrong_input_gets_one_sentence(
    words: list[str], status: int, said: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        returned = main([*words, "--home", str(home)] if words[0] != "dance" else words)
    except SystemExit as exit_:
        returned = exit_.code

    assert returned == status
    assert said in capsys.readouterr().err


def test_every_option_can_be_given_as_a_flag() -> None:
    for option in options():
        default = getattr(getattr(TrainConfig(), option.section), option.name)
        words = [f"--{option.path}", *_typed(default)]

        assert _parsed(*words) == TrainConfig(), option.path


def _typed(value: object) -> list[str]:
    match value:
        case tuple():
            return [str(item) for item in value]
        case dict():
            return ["{}"]
        case None:
            return [""]
        case _:
            return [str(value)]


def test_flags_win_over_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.yaml").write_text("lora: {rank: 8, alpha: 9}\n")

    main(["config", str(tmp_path / "run.yaml"), "--lora.rank", "4", "--lora.use_dora"])

    printed = yaml.safe_load(capsys.readouterr().out)
    assert (printed["lora"]["rank"], printed["lora"]["alpha"]) == (4, 9)
    assert printed["lora"]["use_dora"] is True


def test_notices_about_a_file_go_to_the_error_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text("lora: {rnk: 8}\n")

    assert main(["config", str(tmp_path / "run.yaml")]) == 0
    assert "lora.rank" in capsys.readouterr().err


def test_the_reference_explains_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    main(["options"])

    reference = capsys.readouterr().out
    for option in options():
        assert f"`{option.path}` {option.help}" in reference


@pytest.mark.parametrize("command", ["", *COMMANDS])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_help_is_written_for_people(
    command: str, lang: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help", "--lang", lang])

    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "cli." not in text
    assert "==SUPPRESS==" not in text


@pytest.mark.parametrize(
    ("environment", "words", "lang"),
    [
        ({"LANG": "zh_CN.UTF-8"}, [], "zh"),
        ({"LANG": "de_DE.UTF-8"}, [], "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, [], "en"),
        ({"LANG": "en_US.UTF-8"}, ["train", "--lang", "zh"], "zh"),
        ({}, [], "en"),
    ],
)
def test_the_language_is_the_asked_one_or_that_of_the_shell(
    environment: dict[str, str], words: list[str], lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert arguments.language(words) == lang


def test_a_reader_that_goes_away_is_no_error(cli: Cli) -> None:
    done = subprocess.run(
        f"{sys.executable} -m easytune.cli options | head -1", shell=True, cwd=ROOT,
        env=cli.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stderr == ""


def test_time_left_is_shown_as_a_clock() -> None:
    assert [clock(5), clock(65.4), clock(3725)] == ["0:05", "1:05", "1:02:05"]


def test_the_installed_command_is_this_one() -> None:
    installed = shutil.which("easytune", path=f"{Path(sys.executable).parent}{os.pathsep}")

    assert installed is not None
    done = subprocess.run([installed, "--help"], capture_output=True, text=True, check=True)
    assert "doctor" in done.stdout


def _wait_until_stepping(runs: Runs) -> str:
    eventually(lambda: bool(runs.list()) and runs.story(runs.list()[0].id).step > 0)
    return runs.list()[0].id


def test_a_home_that_cannot_be_written_is_said_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")

    assert main(["train", "--home", str(tmp_path / "file")]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_wrong_words_are_answered_in_the_language_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words, said in (
        (["--lang", "zh", "trian"], "您是指 train 吗"),
        (["train", "--lora.rank", "--lang", "zh"], "需要一个值"),
        (["ui", "--port", "99999", "--lang", "zh"], "不接受 99999"),
    ):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 2
        assert said in capsys.readouterr().err


def test_a_home_named_before_the_command_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--home", str(tmp_path), "--lang", "zh", "report"]) == 1
    assert "还没有任务" in capsys.readouterr().err
