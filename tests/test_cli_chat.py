import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from easytune.cli import arguments, main
from easytune.generation import GenerationConfig, options
from tests.conftest import ROOT
from tests.patience import PATIENCE_S


def _start(environment: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "easytune.cli", "chat", *words], cwd=ROOT,
        env=environment | {"LANG": "C.UTF-8"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def _words(option_default: object) -> list[str]:
    if isinstance(option_default, tuple):
        return [str(item) for item in option_default]
    return ["" if option_default is None else str(option_default)]


def test_one_prompt_gets_one_answer_on_the_output(child_environment: dict[str, str]) -> None:
    process = _start(child_environment, "demo", "Who are you?", "--max-new-tokens", "4")

    output, errors = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    assert output.decode().startswith("I am EasyTune")
    assert output.decode().count("\n") == 1
    assert b"Loading demo" in errors
    assert b"cut at 4 tokens" in errors


def test_a_conversation_goes_on_after_ctrl_c(child_environment: dict[str, str]) -> None:
    process = _start(
        child_environment, "demo", "--temperature", "2", "--max-new-tokens", "900",
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"Tell me a story\n")
    process.stdin.flush()
    assert os.read(process.stdout.fileno(), 1)

    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    output, errors = process.communicate(b"Who are you?\n/quit\nnever asked\n", timeout=PATIENCE_S)

    assert process.returncode == 0
    assert b"Stopped." in errors
    assert b"Traceback" not in errors
    assert len(output.strip().splitlines()) >= 1


def test_a_script_learns_that_an_answer_failed(child_environment: dict[str, str]) -> None:
    process = _start(child_environment, "nobody/nothing")

    _, errors = process.communicate(b"Who are you?\n", timeout=PATIENCE_S)

    assert process.returncode == 1
    assert b"No answer" in errors


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["chat", "nobody", "hi"], 1, "nobody"),
        (["chat", "demo", "  "], 1, "Write a message first"),
        (["chat", "demo", "hi", "--temperature", "9"], 1, "sampling.temperature"),
        (["chat", "demo", "hi", "--temprature", "1"], 2, "--temperature"),
        (["chat"], 2, "MODEL"),
    ],
)
def test_a_wrong_wish_gets_one_sentence(
    words: list[str], status: int, said: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        returned = main([*words, "--home", str(home)])
    except SystemExit as exit_:
        returned = exit_.code

    assert returned == status
    assert said in capsys.readouterr().err


def test_every_option_of_answering_can_be_given_as_a_flag() -> None:
    for option in options():
        default = getattr(getattr(GenerationConfig(), option.section), option.name)
        words = ["chat", "demo", "hi", f"--{option.name.replace('_', '-')}", *_words(default)]

        parsed = arguments.overlaid(GenerationConfig(), arguments.parse(words, "en"), "en")

        assert parsed == GenerationConfig(), option.path
