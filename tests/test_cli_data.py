"""`easytune data` as a user types it: real processes, real files."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from easytune.cli import arguments, main
from easytune.cli.data_arguments import ACTIONS
from easytune.data.tasks import folder_of
from easytune.data.versions.library import Library
from tests.conftest import ROOT
from tests.patience import PATIENCE_S

ROWS = [
    {"prompt": "Say hi", "completion": "Hi  there"},
    {"prompt": "Say bye", "completion": "Goodbye for now"},
    {"prompt": "No answer"},
]


class Data:
    """`easytune data` on the test's home, its tasks in processes of their own."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._home = home
        self._capsys = capsys

    def run(self, *words: str) -> "Done":
        """Run a command to its end, in this process: a hundred modules are imported once."""
        self._capsys.readouterr()
        status = main(["--home", str(self._home), "--lang", "en", "data", *words])
        said = self._capsys.readouterr()
        return Done(status, said.out, said.err)

    def read(self, *words: str) -> Any:
        """Run a command with --json and return what it prints."""
        done = self.run(*words, "--json")
        assert done.status == 0, done.errors
        return json.loads(done.output)


class Done(NamedTuple):
    """How a command ended, and what it said."""

    status: int
    output: str
    errors: str


@pytest.fixture
def data(home: Path, capsys: pytest.CaptureFixture[str]) -> Data:
    return Data(home, capsys)


@pytest.fixture
def start(child_environment: dict[str, str]) -> Callable[..., subprocess.Popen[str]]:
    """Start a command in a process of its own."""

    def started(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "easytune.cli", "data", *words], cwd=ROOT, text=True,
            env=child_environment | {"LANG": "C.UTF-8"}, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return started


def _lines(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_file_becomes_a_dataset_that_is_checked_cleaned_compared_and_exported(
    data: Data, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text(_lines(ROWS))
    made = data.run("import", str(tmp_path / "rows.jsonl"), "--name", "Tone", "--note", "first")
    assert made.status == 0, made.errors
    assert "tone@1 has 3 rows" in made.output
    assert "1 rows cannot be used" in made.errors

    (listed,) = data.read("list")
    assert (listed["id"], listed["current"]["rows"], listed["current"]["problems"]) == (
        "tone",
        3,
        1,
    )
    checked = data.read("check", "tone", "--against", "tone@1")
    assert [row["number"] for row in checked["problem_rows"]] == [3]
    assert "completion" in checked["problem_rows"][0]["reason"]
    assert (checked["statistics"]["usable"], checked["leaks"]["leaked_exact"]) == (2, 2)
    assert data.run("check", "tone", "--strict").status == 1

    steps = tmp_path / "steps.yaml"
    steps.write_text("steps:\n  - clean: {whitespace: true}\n")
    seen = data.read("preprocess", "tone", str(steps), "--dry-run")
    assert [change["after"]["completion"] for change in seen["changes"]] == ["Hi there"]
    assert len(data.read("show", "tone")["versions"]) == 1
    assert "tone@2 has 3 rows" in data.run("preprocess", "tone", str(steps)).output

    differing = data.read("diff", "tone@1", "tone@2")
    assert (differing["changed"], differing["same"]) == (1, 2)
    assert "[-" in data.run("diff", "tone@1").output
    assert "tone@3 has the 3 rows of version 1" in data.run("rollback", "tone", "1").output

    target = tmp_path / "out.json"
    assert data.run("export", "tone@2", str(target)).status == 0
    assert json.loads(target.read_text())[0]["completion"] == "Hi there"
    refused = data.run("export", "tone@1", str(target))
    assert (refused.status, "--force" in refused.errors) == (1, True)
    assert json.loads(data.run("export", "tone@1", "-").output.splitlines()[0]) == ROWS[0]


def test_what_comes_through_a_pipe_is_added_to_a_dataset(
    start: Callable[..., subprocess.Popen[str]], home: Path
) -> None:
    def piped(text: str, *words: str) -> int:
        process = start("import", "-", *words)
        _, errors = process.communicate(text, timeout=PATIENCE_S)
        assert "Traceback" not in errors
        return process.returncode

    assert piped(_lines(ROWS[:1]), "--name", "Tone") == 0
    assert piped(_lines(ROWS[1:2]), "--into", "tone") == 0
    assert piped("  \n") == 1

    assert [row.value for row in Library(home).open("tone").page(0, 9)] == ROWS[:2]
    assert list((home / "data-uploads").glob("*")) == []


def test_columns_are_mapped_by_hand(data: Data, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text("frage,antwort\nWie geht es?,Gut\n")

    unknown = data.run("import", str(file))
    mapped = data.run("import", str(file), "--columns", "prompt=frage,response=antwort")

    assert (unknown.status, "frage" in unknown.errors) == (1, True)
    assert mapped.status == 0, mapped.errors
    assert Library(home).version("odd").problems == 0


def test_ctrl_c_cancels_an_import_and_nothing_stays(
    start: Callable[..., subprocess.Popen[str]], home: Path, tmp_path: Path
) -> None:
    big = tmp_path / "big.jsonl"
    with big.open("w") as file:
        for part in range(400):
            rows = [{"prompt": f"q {part} {n}", "completion": "a" * 400} for n in range(1000)]
            file.write(_lines(rows))
    process = start("import", str(big))
    deadline = time.monotonic() + 60
    while not list(folder_of(home).glob("*-import-*/progress.json")):
        assert time.monotonic() < deadline, "the import did not begin"
        time.sleep(0.02)

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 130
    assert "nothing of it was kept" in errors
    assert Library(home).list() == []


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "ACTION"),
        (["dance"], 2, "dance"),
        (["show", "nobody"], 1, "nobody"),
        (["show", "../nobody"], 1, "../nobody"),
        (["import", "gone.jsonl"], 1, "gone.jsonl"),
        (["import", "x", "--mode", "append"], 2, "--into"),
        (["import", "-", "x"], 2, "on its own"),
        (["import", "x", "--columns", "prompt"], 2, "--columns"),
        (["import", "x", "--into", "nobody", "--name", "y"], 2, "--name"),
        (["rollback", "nobody"], 1, "nobody"),
        (["check", "nobody", "--threshold", "7"], 2, "--threshold"),
        (["list", "--jsn"], 2, "--json"),
    ],
)
def test_a_wrong_wish_gets_one_sentence(
    words: list[str], status: int, said: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        returned = main(["--home", str(home), "data", *words])
    except SystemExit as exit_:
        returned = exit_.code

    assert returned == status
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_action_is_explained(lang: str, capsys: pytest.CaptureFixture[str]) -> None:
    for action in ACTIONS:
        with pytest.raises(SystemExit) as ended:
            arguments.parse(["data", action, "--help"], lang)
        text = capsys.readouterr().out
        assert ended.value.code == 0
        assert "cli." not in text
