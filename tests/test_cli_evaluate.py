import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from easytune import config_file, paths
from easytune.cli import arguments, chosen, main
from easytune.evaluation import EvaluateConfig
from tests.conftest import ROOT

CONFIGS = sorted((ROOT / "configs" / "evaluate").glob("*.yaml"))


def _chosen(*words: str) -> EvaluateConfig:
    return chosen.evaluation(arguments.parse(["evaluate", *words], "en"), "en")


def test_an_evaluation_shows_its_figures_writes_reports_and_fails_below_a_threshold(
    child_environment: dict[str, str], home: Path, tmp_path: Path
) -> None:
    page, everything = tmp_path / "report.html", tmp_path / "report.json"
    done = subprocess.run(
        [
            sys.executable, "-m", "easytune.cli", "evaluate", "configs/evaluate/gate.yaml",
            "--test.rows", "4", "--sampling.max_new_tokens", "6", "--measure.forgetting", "off",
            "--fail-below", "exact_match=0.99", "--fail-above", "perplexity=1000000",
            "--report", str(page), "--report", str(everything),
        ],
        cwd=ROOT, env=child_environment | {"LANG": "C.UTF-8"}, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip

    assert done.returncode == 3, done.stderr
    assert "4/4 answers" in done.stderr
    assert "Not reached: exact_match of" in done.stderr
    assert "at least 99 is wanted" in done.stderr
    assert "Reached: perplexity of" in done.stdout
    assert "Exact match" in done.stdout
    assert "Exact match" in page.read_text(encoding="utf-8")
    found = json.loads(everything.read_text(encoding="utf-8"))
    assert (found["state"], len(found["answers"])) == ("finished", 4)
    assert os.listdir(paths.evaluations(home)) == [found["id"]]


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_every_bundled_evaluation_opens_without_a_word(file: Path) -> None:
    loaded = config_file.load_file(file, "en", EvaluateConfig)

    assert loaded.notices == ()
    assert loaded.config.sampling.temperature == 0


def test_flags_win_over_the_file_and_what_is_left_out_stays() -> None:
    config = _chosen(
        str(ROOT / "configs/evaluate/demo.yaml"), "--models", "demo", "tone", "--test.rows", "5"
    )

    assert config.candidates.models == ("demo", "tone")
    assert (config.test.rows, config.sampling.max_new_tokens) == (5, 64)


def test_a_saved_evaluation_opens_again_and_its_command_says_the_same(tmp_path: Path) -> None:
    config = EvaluateConfig().changed(
        candidates__models=("demo", "my run@20"), measure__contains=("a b",), test__rows=7,
        measure__forgetting="off", sampling__temperature=0.5,
    )  # fmt: skip
    file = tmp_path / "evaluation.yaml"
    file.write_text(config_file.dump(config), encoding="utf-8")

    assert _chosen(str(file)) == config
    assert _chosen(*config_file.flags(config)) == config
    assert config_file.command(config).startswith("easytune evaluate ")


WRONG = [
    (["configs/train/demo.yaml"], 1, "easytune train"),
    (["gone.yaml"], 1, "gone.yaml"),
    (["--models", "nobody"], 1, "nobody"),
    (["--test.rows", "0"], 1, "test.rows: should be at least 1"),
    (["--test.rwos", "3"], 2, "--test.rows"),
    (["--fail-below", "rouge_l"], 2, "rouge_l"),
    (["--fail-below", "bleu=0.4"], 1, "bleu"),
    (["--report", "report.pdf"], 1, ".html"),
    (["--resume", "nothing"], 1, "nothing"),
]


@pytest.mark.parametrize(("words", "status", "said"), WRONG)
def test_wrong_input_gets_one_sentence_before_anything_starts(
    words: list[str], status: int, said: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        returned = main(["evaluate", *words, "--home", str(home)])
    except SystemExit as exit_:
        returned = exit_.code

    assert returned == status
    assert said in capsys.readouterr().err
    assert not paths.evaluations(home).exists()
